use super::*;
use crate::caller::NamedSessionRoles;
use crate::event::IamIdentity;
use proptest::prelude::*;

pub(super) const NOW: UtcDateTime = UtcDateTime::UNIX_EPOCH;
const PERSON: &str = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/alice@example.com";

pub(super) fn caller(arn: &str) -> Caller {
    caller_with_id(arn, None)
}

fn caller_with_id(arn: &str, user_id: Option<&str>) -> Caller {
    let named = NamedSessionRoles::default();
    let identity = IamIdentity { user_id: user_id.map(Into::into), ..IamIdentity::of_arn(arn) };
    Caller::verified(&identity, None, named.of_function_in(Some("123456789012"))).unwrap()
}

pub(super) fn profile(name: &str) -> ProfileName {
    ProfileName::try_from(name.to_owned()).unwrap()
}

pub(super) fn draft(name: &str, reason: &str) -> AccessDraft {
    AccessDraft {
        profile: profile(name),
        reason: Reason::parse(reason).unwrap(),
        ticket: None,
        duration: None,
    }
}

fn request() -> AccessRequest {
    let draft = draft("production", "an outage");
    let id = RequestId::new("0a1b2c3d-4e5f-6789-abcd-ef0123456789");
    AccessRequest::new(&caller(PERSON), draft, SessionDuration::MIN, &id, NOW)
}

#[test]
fn an_id_has_one_spelling() {
    let id = request().id;
    assert_eq!(AccessId::parse(&id.to_string()), Some(id));
    let text = id.to_string();
    for bad in [
        "",
        "-",
        &text.to_uppercase(),
        &text[1..],
        &format!("+{}", &text[1..]),
        &format!("{text}0"),
        &text.replace('-', ""),
    ] {
        assert_eq!(AccessId::parse(bad), None, "{bad}");
    }
}

/// THREAT: a requester approves alone what needs two people: in another case, with another
/// permission set or domain, as an IAM user, or as another user of the same unique id.
/// PREVENTION: whoever could be the same person is taken for it.
#[test]
fn security_whoever_could_be_the_requester_is_not_another_person() {
    let alice = request().requester;
    let sso = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO";
    for same in [
        PERSON.to_owned(),
        PERSON.replace("alice@", "Alice@"),
        PERSON.replace("example.com", "EXAMPLE.COM"),
        format!("{sso}_Operator_0123456789abcdef/alice@example.com"),
        format!("{sso}_Operator_0123456789abcdef/ALICE@example.com"),
        format!("{sso}_Operator_0123456789abcdef/alice@example.org"),
        format!("{sso}_Operator_0123456789abcdef/Alice"),
        "arn:aws:iam::210987654321:user/staff/alice".to_owned(),
    ] {
        assert!(alice.may_be(&caller(&same)), "{same}");
    }
    assert!(!alice.may_be(&caller(&PERSON.replace("alice", "bob"))));

    let user = "arn:aws:iam::123456789012:user/alice";
    let renamed = "arn:aws:iam::123456789012:user/team/carol";
    let id = Some("AIDAEXAMPLEEXAMPLE000");
    assert!(Requester::of(&caller_with_id(user, id)).may_be(&caller_with_id(renamed, id)));
    assert!(!Requester::of(&caller(user)).may_be(&caller(renamed)));
}

/// THREAT: a requester assumes a role and approves as that role, under a session name of their own
/// choice.
/// PREVENTION: only people decide and request; a role's session is nobody's name.
#[test]
fn security_roles_are_no_people() {
    assert!(is_person(&caller(PERSON)));
    assert!(is_person(&caller("arn:aws:iam::123456789012:user/alice")));
    for other in [
        "arn:aws:sts::123456789012:assumed-role/approver/bob@example.com",
        "arn:aws:sts::210987654321:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/bob@example.com",
        "arn:aws:sts::123456789012:federated-user/bob@example.com",
        "arn:aws:iam::123456789012:root",
    ] {
        assert!(!is_person(&caller(other)), "{other}");
    }
}

#[test]
fn a_request_expires_pending_and_approved() {
    let request = request();
    let last = NOW + PENDING - Duration::NANOSECOND;
    for change in [Change::Approve, Change::Deny, Change::Withdraw] {
        assert!(request.permits(change, last) && !request.permits(change, NOW + PENDING));
    }
    let approved = request.change(Change::Approve, "bob", last).unwrap();
    let (person, production) = (caller(PERSON), profile("production"));
    let end = approved.expires_at;
    assert_eq!(end, whole(last) + CLAIM_WINDOW, "the claim window begins with the approval");
    let in_force = |at| approved.approval(&person, &production, at).is_some();
    assert!(in_force(end - Duration::NANOSECOND) && !in_force(end));
}

/// THREAT: an approval is used for another profile, or by another principal.
/// PREVENTION: it names both, and both are compared, not only their digest.
#[test]
fn security_an_approval_is_for_one_principal_and_one_profile() {
    let approved = request().change(Change::Approve, "bob", NOW).unwrap();
    let (person, production) = (caller(PERSON), profile("production"));
    assert!(approved.approval(&person, &production, NOW).is_some());
    assert_eq!(approved.approval(&person, &profile("development"), NOW), None);
    let bob = caller(&PERSON.replace("alice", "bob"));
    assert_eq!(approved.approval(&bob, &production, NOW), None);
}

/// THREAT: an IAM user is deleted and made again, and inherits what the first one was granted.
/// PREVENTION: the unique ids are compared. Those of a role say nothing of the person, and are not.
#[test]
fn security_a_user_of_another_unique_id_is_another_requester() {
    let user = "arn:aws:iam::123456789012:user/alice";
    let (first, second) = (Some("AIDAFIRSTFIRSTFIRST00"), Some("AIDASECONDSECONDSECO0"));
    let requester = Requester::of(&caller_with_id(user, first));
    for (id, expected) in [(first, true), (second, false), (None, false)] {
        assert_eq!(requester.is(&caller_with_id(user, id)), expected, "{id:?}");
    }
    assert!(Requester::of(&caller(user)).is(&caller_with_id(user, second)), "none is known");
    let role = |id| caller_with_id(PERSON, Some(id));
    let session = Requester::of(&role("AROAFIRSTFIRSTFIRST00:alice@example.com"));
    assert!(session.is(&role("AROASECONDSECONDSECO0:alice@example.com")));
}

proptest! {
    #[test]
    fn a_request_is_approved_once_and_ends_once_whatever_the_order(
        changes in proptest::collection::vec((0_usize..3, 0_i64..100_000), 1..20),
    ) {
        let mut request = request();
        let (mut now, mut approved, mut ended) = (NOW, 0, 0);
        for (change, gap) in changes {
            now += Duration::seconds(gap);
            let change = [Change::Approve, Change::Deny, Change::Withdraw][change];
            let was_possible = request.is_in_force(now)
                && (change != Change::Approve || request.state == State::Pending);
            let before = request.clone();
            match before.change(change, "bob", now) {
                Ok(changed) => {
                    prop_assert!(was_possible);
                    prop_assert_eq!(changed.state, change.leads_to());
                    request = changed;
                    if change == Change::Approve { approved += 1 } else { ended += 1 }
                }
                Err(Closed) => prop_assert!(!was_possible),
            }
        }
        prop_assert!(approved <= 1 && ended <= 1);
    }

    #[test]
    fn no_text_is_an_id_by_accident(text in ".*") {
        if let Some(id) = AccessId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
