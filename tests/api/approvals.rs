//! Approvals after the decision: taken back, denied before, and for whom they count; part of
//! `cargo test security`.

use crate::access::{
    alice, api, ask, asked, change, code, for_production, listed, operator, person, send, vend,
};
use crate::support::{Call, Dynamo};
use serde_json::{Value, json};

const GRANTS: &str = Dynamo::GRANTS;

/// THREAT: somebody approved by mistake, or under an attacker's control, and the approval opens
/// the profile for eight hours.
/// PREVENTION: whoever may decide a request may also deny it after its approval. The next vend is
/// refused.
#[tokio::test]
async fn security_a_denial_takes_an_approval_back() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200);
    let colleague = person("op-pete");
    let [seen] = &listed(&api, &colleague).await[..] else { panic!("one request") };
    assert_eq!((&seen["state"], &seen["may"]), (&json!("approved"), &json!(["deny"])));
    assert_eq!(code(&api.send(change(&person("bob"), &id, "deny")).await), "NOT_FOUND");
    assert_eq!(code(&api.send(change(&alice(), &id, "deny")).await), "OWN_REQUEST");
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200, "still approved");

    api.wait(60);
    let denied = api.send(change(&colleague, &id, "deny")).await;
    assert_eq!(denied.status(), 200, "{}", denied.audit);
    assert_eq!((&denied.body()["state"], &denied.body()["may"]), (&json!("denied"), &json!([])));
    assert_eq!(denied.body()["decided_by"], colleague);
    assert_eq!(denied.audit["access"]["state"], "denied");
    assert_eq!(code(&api.send(vend(&alice(), "production")).await), "POLICY_DENY");
    for (by, what) in [(operator(), "approve"), (operator(), "deny"), (alice(), "withdraw")] {
        let again = api.send(change(&by, &id, what)).await;
        assert_eq!(code(&again), "REQUEST_CLOSED", "{what}: a denial is the end");
    }
}

/// THREAT: a requester whose session is stolen cannot give an approval up.
/// PREVENTION: the requester may withdraw an approved request.
#[tokio::test]
async fn security_a_requester_gives_an_approval_up() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    let [seen] = &listed(&api, &alice()).await[..] else { panic!("one request") };
    assert_eq!(seen["may"], json!(["withdraw"]));
    assert_eq!(api.send(change(&alice(), &id, "withdraw")).await.body()["state"], "withdrawn");
    assert_eq!(code(&api.send(vend(&alice(), "production")).await), "POLICY_DENY");

    api.request_id.replace_range(..8, "00000000");
    let id = asked(&api, &alice(), &for_production()).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    api.wait(8 * 3_600);
    let late = api.send(change(&alice(), &id, "withdraw")).await;
    assert_eq!(code(&late), "REQUEST_CLOSED", "it has expired");
}

/// THREAT: a person with two ways in requests with one and approves with the other: as an IAM user
/// of the same name, or through a role whose session names have no domain.
/// PREVENTION: names compare by the part before the `@`.
#[tokio::test]
async fn security_a_name_without_its_domain_is_the_same_person() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let user = "arn:aws:iam::123456789012:user/staff/Op-Alice";
    for (requester, approver) in [
        (person("op-alice"), user.replace("Op-A", "op-a")),
        (person("op-alice"), person("op-alice").replace("@example.com", "")),
        (person("op-alice"), person("op-alice").replace("example.com", "example.org")),
        (user.replace("Op-A", "op-a"), person("op-alice")),
    ] {
        let id = match listed(&api, &requester).await.first() {
            Some(pending) => pending["id"].as_str().unwrap().to_owned(),
            None => asked(&api, &requester, &for_production()).await,
        };
        let answer = api.send(change(&approver, &id, "approve")).await;
        assert_eq!(code(&answer), "OWN_REQUEST", "{requester} {approver}");
    }
}

fn with_id(call: Call, user_id: &str) -> Call {
    call.set("/requestContext/authorizer/iam/userId", user_id)
}

/// THREAT: an IAM user is deleted and made again for somebody else, who inherits the approval.
/// PREVENTION: an approval of an IAM user counts for the same unique id alone.
#[tokio::test]
async fn security_a_user_made_again_inherits_no_approval() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let dave = "arn:aws:iam::123456789012:user/dave";
    let (first, second) = ("AIDAFIRSTFIRSTFIRST00", "AIDASECONDSECONDSECO0");
    let request = api.send(with_id(ask(dave, &for_production()), first)).await;
    let id = request.body()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    assert_eq!(api.send(with_id(vend(dave, "production"), first)).await.status(), 200);
    let inherited = api.send(with_id(vend(dave, "production"), second)).await;
    assert_eq!(code(&inherited), "POLICY_DENY");
}

/// THREAT: a caller whom nothing permits to approve finds out which requests exist, from the reason
/// of a `forbid`.
/// PREVENTION: the reason of a `forbid` reaches only callers with a matching permit.
#[tokio::test]
async fn security_a_forbid_tells_nothing_to_those_without_a_permit() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let gift = json!({ "profile": "production", "reason": "a gift" });
    let id = asked(&api, &alice(), &gift).await;
    for what in ["approve", "deny"] {
        let answer = api.send(change(&person("bob"), &id, what)).await;
        assert_eq!(code(&answer), "NOT_FOUND", "{what}");
    }
}

/// THREAT: somebody tries to approve their own request, and the audit does not say which.
/// PREVENTION: the request is in the audit line as soon as it is read.
#[tokio::test]
async fn security_a_refused_decision_is_audited_with_the_request() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let requester = person("op-alice");
    let id = asked(&api, &requester, &for_production()).await;
    for (by, what) in [
        (requester.clone(), "approve"),
        (requester.replace("_Developer_", "_Operator_"), "deny"),
        (person("bob"), "approve"),
        (person("bob"), "withdraw"),
    ] {
        let access = api.send(change(&by, &id, what)).await.audit["access"].clone();
        let seen = ["action", "id", "requester", "profile", "state"].map(|name| &access[name]);
        let expected = [what, &id, &requester, "production", "pending"].map(Value::from);
        assert_eq!(seen.map(Value::clone), expected, "{by} {what}");
    }
}

/// THREAT: one unreadable item hides every request from every approver.
/// PREVENTION: the list leaves it out, and the log says so. Reading that item itself still fails.
#[tokio::test]
async fn security_an_unreadable_item_does_not_hide_the_others() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let alices = asked(&api, &alice(), &for_production()).await;
    let mut broken = dynamo.items(GRANTS).remove(0);
    asked(&api, &person("bob"), &for_production()).await;
    broken["Reason"] = json!({ "S": "a\nb" });
    dynamo.put(GRANTS, &broken);
    let seen = listed(&api, &operator()).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["requester"], person("bob"));
    let answer = api.send(change(&operator(), &alices, "approve")).await;
    assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn a_rule_about_the_ticket_of_an_approval_can_be_satisfied() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let ask_for = |reason: &str, ticket: &str, duration: u32| json!({ "profile": "ticketed", "reason": reason, "ticket": ticket, "duration": duration });
    for useless in [
        json!({ "profile": "ticketed", "reason": "an outage", "duration": 1800 }),
        ask_for("an outage", "X-1", 1800),
        ask_for("curious", "OPS-1", 1800),
        ask_for("an outage", "OPS-1", 3600),
    ] {
        let answer = api.send(ask(&alice(), &useless)).await;
        assert_eq!(code(&answer), "POLICY_DENY", "{useless}: no approval of this would help");
    }
    let id = asked(&api, &alice(), &ask_for("an outage", "OPS-1", 1800)).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    assert_eq!(api.send(vend(&alice(), "ticketed")).await.status(), 200);
}

/// THREAT: a denied requester asks again until another approver, who knows of no denial, approves.
/// PREVENTION: the new request shows who denied the last one, and when.
#[tokio::test]
async fn security_the_next_approver_sees_the_last_denial() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    let first = asked(&api, &alice(), &for_production()).await;
    assert_eq!(listed(&api, &operator()).await[0]["last_denied_by"], Value::Null);
    let denied = api.send(change(&operator(), &first, "deny")).await;
    assert_eq!(denied.body()["last_denied_by"], operator());
    api.wait(3_600);
    for (nonce, end) in [("00000000", "withdraw"), ("11111111", "approve")] {
        api.request_id.replace_range(..8, nonce);
        let again = api.send(ask(&alice(), &for_production())).await;
        let id = again.body()["id"].as_str().unwrap().to_owned();
        assert_eq!(asked(&api, &alice(), &for_production()).await, id, "a retry of the invocation");
        let [seen] = &listed(&api, &person("op-pete")).await[..] else { panic!("one request") };
        assert_eq!((&seen["state"], &seen["decided_by"]), (&json!("pending"), &Value::Null));
        assert_eq!(seen["last_denied_by"], operator());
        assert_eq!(seen["last_denied_at"], "2026-03-04T10:30:00Z");
        let by = if end == "withdraw" { alice() } else { person("op-pete") };
        let changed = api.send(change(&by, &id, end)).await;
        assert_eq!(changed.body()["last_denied_by"], operator(), "{}", changed.audit);
    }
    assert_eq!(api.send(vend(&alice(), "production")).await.status(), 200);
    let profiles = api.send(send(&alice(), "GET", "/v1/requests")).await;
    assert_eq!(profiles.body()["requests"][0]["last_denied_by"], operator());
}

#[tokio::test]
async fn a_profile_that_demands_a_scope_and_a_ticket_can_be_requested() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let without = json!({ "profile": "narrowed", "reason": "an outage" });
    assert_eq!(code(&api.send(ask(&alice(), &without)).await), "POLICY_DENY");
    let with = json!({ "profile": "narrowed", "reason": "an outage", "ticket": "OPS-1" });
    let id = asked(&api, &alice(), &with).await;
    assert_eq!(api.send(change(&operator(), &id, "approve")).await.status(), 200);
    for (query, status) in [
        ("narrowed", 403),
        ("narrowed&ticket=OPS-1", 403),
        ("narrowed&scope=read-only", 403),
        ("narrowed&scope=read-only&ticket=OPS-1", 200),
    ] {
        assert_eq!(api.send(vend(&alice(), query)).await.status(), status, "{query}");
    }
}
