//! Where a decision, a warning or an explanation just changes.

use super::*;
use crate::access::Approval;

fn explained(cedar: &str, facts: Facts<'_>) -> Explanation {
    let alice = caller("arn:aws:iam::123456789012:user/alice");
    let request = VendRequest::of(dev());
    let policy = policy(PROFILES, cedar);
    let explanation = policy.explain(&alice, &request, facts, monday_noon(), async || ());
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(explanation)
}

fn approvable() -> Facts<'static> {
    Facts { approval: Approved::Nothing, ..Facts::default() }
}

fn approval(seconds: u32) -> Approval {
    let alice = "arn:aws:iam::123456789012:user/alice";
    let access = access_request(alice);
    let approved = access.change(Change::Approve, "bob", monday_noon()).unwrap();
    let approval = approved.approval(&caller(alice), &dev(), monday_noon()).unwrap();
    Approval { duration: SessionDuration::from_seconds(seconds).unwrap(), ..approval }
}

#[test]
fn the_rules_about_credentials_and_those_about_approving_are_told_apart() {
    let named = |action: &str| {
        format!(
            "@id(\"{action}\") permit (principal, action == Sentinel::Action::\"{action}\", resource);"
        )
    };
    let forbid =
        r#"@id("forbid") forbid (principal, action, resource) when { principal.name == "eve" };"#;
    let shadow = r#"@id("shadow") @mode("shadow") forbid (principal, action, resource);"#;
    let cedar = [PERMIT, &named("vend"), &named("approve"), forbid, shadow].concat();
    let policy = policy(PROFILES, &cedar);
    let ids = |rules: &cedar_policy::PolicySet| {
        let mut ids: Vec<String> = rules.policies().map(|policy| policy.id().to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(policy.vending_rules()), ["approve", "forbid", "p", "vend"]);
    assert_eq!(ids(policy.approving_rules()), ["approve", "forbid", "vend"]);
}

/// THREAT: a bundle once permitted its readers everything, and with a new version of the function
/// they may approve, too.
/// PREVENTION: a permit counts for approving only if its scope names the action; a forbid always.
#[test]
fn security_a_permit_for_any_action_lets_nobody_approve() {
    let bob = caller("arn:aws:iam::123456789012:user/bob");
    let asked = access_request("arn:aws:iam::123456789012:user/alice");
    let may = |cedar: &str| policy(PROFILES, cedar).may_decide(&bob, &asked, monday_noon());
    let approve =
        r#"@id("a") permit (principal, action == Sentinel::Action::"approve", resource);"#;
    let forbid =
        r#"@id("f") forbid (principal, action, resource) when { principal.name == "bob" };"#;
    let refused_by = |cedar: &str| Decision::Deny(may(cedar).unwrap_err()).rules().to_vec();
    assert_eq!(refused_by(PERMIT), Vec::<String>::new());
    assert_eq!(may(&format!("{PERMIT}{approve}")).unwrap(), ["a"]);
    assert_eq!(refused_by(&format!("{approve}{forbid}")), ["f"]);
}

#[test]
fn warnings_are_those_of_the_bundle() {
    let permit = r#"@id("x") permit (principal, action, resource in Sentinel::ProfileGroup::"g");"#;
    assert_eq!(policy(PROFILES, permit).warnings(), Vec::<String>::new());
    let unused =
        policy(PROFILES, r#"permit (principal, action, resource == Sentinel::Profile::"dev");"#);
    assert_eq!(unused.warnings(), ["profiles.toml: no policy names the group \"g\""]);
}

#[test]
fn a_permit_that_can_never_apply_is_a_warning() {
    let impossible =
        r#"@id("x") permit (principal, action, resource) when { context has devcie };"#;
    let warnings = load(PROFILES, &format!("{PERMIT}{impossible}")).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.starts_with("a.cedar:1:")), "{warnings:?}");
}

#[test]
fn the_nesting_of_one_policy_does_not_count_for_the_next() {
    let open = "// (\npermit (principal, action, resource);\n".repeat(100);
    load(PROFILES, &open).unwrap();
}

#[test]
fn a_device_alone_is_a_fact() {
    let own = "permit (principal, action, resource) when { context has device && context.device.compliant };";
    let policy = policy(PROFILES, own);
    let alice = "arn:aws:iam::123456789012:user/alice";
    let device = device("alice");
    assert!(decide_on(&policy, alice, "dev", Some(&device), monday_noon()).into_grant().is_ok());
    assert!(decide(&policy, alice, "dev", monday_noon()).into_grant().is_err());
}

#[test]
fn an_approval_clamps_only_what_is_longer() {
    let alice = caller("arn:aws:iam::123456789012:user/alice");
    let granted = |approved: u32, wish: u32| {
        let duration = SessionDuration::from_seconds(wish);
        let request = VendRequest { duration, ..VendRequest::of(dev()) };
        let approval = approval(approved);
        let facts = Facts { approval: Approved::Yes(&approval), ..Facts::default() };
        let id = RequestId::new("0a1b2c3d");
        let (decision, _) =
            policy(PROFILES, PERMIT).decide(&alice, &request, facts, &id, monday_noon());
        let grant = decision.into_grant().unwrap();
        (grant.duration().seconds(), grant.clamped_by())
    };
    assert_eq!(granted(1_800, 1_801), (1_800, Some(Clamp::Approval)));
    assert_eq!(granted(1_800, 1_800), (1_800, None));
    assert_eq!(granted(1_800, 1_799), (1_799, None));
}

#[test]
fn a_profile_mentions_what_its_policies_read_however_they_write_it() {
    let mentions = |condition: &str| {
        let permit = format!(
            "permit (principal, action == Sentinel::Action::\"vend\", resource) when {{ {condition} }};"
        );
        let policy = policy(PROFILES, &permit);
        (policy.mentions_approval(&dev()), policy.mentions_emergency(&dev()))
    };
    assert_eq!(mentions("context has approval"), (true, false));
    assert_eq!(mentions("context has emergency"), (false, true));
    assert_eq!(mentions(r#"context has "\u{61}pproval""#), (true, false), "an escape alone");
    // As many words `context` as the product of its uses by name: four by two.
    let whole = ["context.duration > 1"; 4].into_iter().chain(["context has device"; 2]);
    let whole = whole.chain(["context == context"]).collect::<Vec<_>>().join(" && ");
    assert_eq!(mentions(&whole), (true, true));
}

#[test]
fn a_supposed_approval_is_in_its_claim_window() {
    let claimed = r#"
        permit (principal, action == Sentinel::Action::"vend", resource)
        when { context has approval && context.approval.expires_at > context.now };
    "#;
    assert_eq!(explained(claimed, approvable()).missing, [Factor::Approval]);
}

#[test]
fn a_denial_keeps_the_reasons_of_policies_and_drops_the_general_one() {
    let forbid = r#"@reason("Closed for good.") forbid (principal, action, resource);"#;
    let refused = explained(&format!("{PERMIT}{forbid}"), approvable());
    assert_eq!(refused.reasons, ["Closed for good."]);
    assert_eq!(refused.into_denial().reasons(), ["Closed for good."]);
    let nobody = r#"permit (principal, action, resource) when { principal.name == "bob" };"#;
    let refused = explained(nobody, approvable());
    assert_eq!(refused.reasons.len(), 1);
    assert_eq!(refused.into_denial().reasons(), Vec::<String>::new());
}

#[test]
fn without_a_device_the_reason_is_the_given_one() {
    let missing = Explanation::without_device(dev(), "enrol it".to_owned());
    assert_eq!(
        (missing.reasons, missing.missing),
        (vec!["enrol it".to_owned()], vec![Factor::Device])
    );
}

#[test]
fn an_error_is_a_mixture_only_if_a_change_is_under_way() {
    let files = |named: &[(&str, &str)]| {
        let named = named.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        BundleFiles::from_parameters(named)
    };
    assert!(files(&[("profiles", PROFILES), ("digest", "another")]).unwrap_err().is_mixture());
    assert!(!files(&[]).unwrap_err().is_mixture());
    let longest = "x".repeat(8_192);
    assert!(files(&[("profiles", &longest)]).unwrap().parameters().is_ok());
    let longer = format!("{longest}x");
    assert!(files(&[("profiles", &longer)]).unwrap().parameters().is_err());
}

#[test]
fn a_condition_rests_on_claims_if_nothing_verified_can_decide_it() {
    let (ticket, alice) = ("context.claimed has ticket", "principal.name == \"alice\"");
    for (condition, is_remarked) in [
        (format!("!({alice} && {ticket})"), true),
        (format!("!(({alice} && {ticket}) || {ticket})"), true),
        (format!("!({alice} || {ticket})"), false),
        (format!("{ticket} && false"), false),
        (format!("{ticket} && true"), true),
        (format!("{ticket} && [principal.name].contains(\"alice\")"), false),
        (format!("{ticket} && [\"alice\"].contains(\"alice\")"), true),
    ] {
        remarks_condition(&condition, is_remarked);
    }
}

#[test]
fn a_denial_for_a_scope_says_which_scopes_there_are() {
    let alice = caller("arn:aws:iam::123456789012:user/alice");
    let scope = ScopeName::try_from("read-only".to_owned()).ok();
    let request = VendRequest { scope, ..VendRequest::of(dev()) };
    let reasons = |profiles: &str| {
        let id = RequestId::new("0a1b2c3d");
        let policy = policy(profiles, PERMIT);
        let (decision, _) = policy.decide(&alice, &request, None, &id, monday_noon());
        decision.into_grant().unwrap_err().reasons().to_vec()
    };
    assert_eq!(reasons(PROFILES), ["This profile has no scopes."]);
    let other = format!(
        "{PROFILES}\n[dev.scopes.no-deletion]\npolicy_arns = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\n"
    );
    assert_eq!(reasons(&other), ["This profile has no such scope. It has: no-deletion."]);
}

#[test]
fn approvals_and_emergencies_reach_the_policies_of_a_vend_and_of_its_explanation() {
    let arn = "arn:aws:iam::123456789012:user/alice";
    let (approval, emergency) = (approval(1_800), emergency(arn));
    let approved = Facts { approval: Approved::Yes(&approval), ..Facts::default() };
    let taken = Facts { emergency: Some(&emergency), ..Facts::default() };
    for (name, facts, other) in [("approval", approved, taken), ("emergency", taken, approved)] {
        let cedar = format!(
            "permit (principal, action == Sentinel::Action::\"vend\", resource) when {{ context has {name} }};"
        );
        assert!(explained(&cedar, facts).allowed, "{name}");
        assert!(!explained(&cedar, other).allowed, "{name}");
        let granted = |facts: Facts<'_>| {
            let id = RequestId::new("0a1b2c3d");
            let request = VendRequest::of(dev());
            let (decision, _) =
                policy(PROFILES, &cedar).decide(&caller(arn), &request, facts, &id, monday_noon());
            decision.into_grant().is_ok()
        };
        assert!(granted(facts) && !granted(other) && !granted(Facts::default()), "{name}");
    }
}
