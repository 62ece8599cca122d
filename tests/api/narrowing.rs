//! What callers may say about a request for credentials: a scope, which takes something away, and
//! claims, which nobody verifies.

use crate::support::{Answer, Api, Call};
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn ask(api: &Api, query: &str) -> Answer {
    api.send(Call::get(&format!("/v1/credentials?{query}"))).await
}

/// The tags in a request of STS's, by key.
fn tags(asked: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let tag = |number: i32| {
        let part = |name| asked.get(&format!("Tags.member.{number}.{name}")).map(String::as_str);
        Some((part("Key")?, part("Value")?))
    };
    (1..).map_while(tag).collect()
}

#[tokio::test]
async fn a_scope_narrows_the_session_and_is_in_the_audit_line_and_the_tags() {
    let api = Api::start().await;
    let plain = ask(&api, "profile=narrowable").await;
    let narrowed = ask(&api, "profile=narrowable&scope=read-only").await;
    let denying = ask(&api, "profile=narrowable&scope=no-deletion").await;
    assert_eq!([plain.status(), narrowed.status(), denying.status()], [200; 3]);
    let asked = api.sts.requests().await;
    let arn = |asked: &BTreeMap<String, String>| asked.get("PolicyArns.member.1.arn").cloned();
    assert_eq!((arn(&asked[0]), asked[0].get("Policy")), (None, None));
    let read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    assert_eq!((arn(&asked[1]).as_deref(), asked[1].get("Policy")), (Some(read_only), None));
    let policy: Value = serde_json::from_str(&asked[2]["Policy"]).unwrap();
    assert_eq!(
        policy["Statement"],
        json!([
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*" },
        ])
    );
    assert_eq!(tags(&asked[0]).get("SentinelScope"), None);
    assert_eq!(tags(&asked[1])["SentinelScope"], "read-only");
    assert_eq!(
        (&plain.audit["scope"], &narrowed.audit["scope"]),
        (&Value::Null, &json!("read-only"))
    );
}

#[tokio::test]
async fn a_scope_is_added_to_the_session_policy_of_the_profile() {
    let api = Api::start().await;
    assert_eq!(ask(&api, "profile=only-narrowed&scope=no-deletion").await.status(), 200);
    let asked = api.sts.requests().await.remove(0);
    let policy: Value = serde_json::from_str(&asked["Policy"]).unwrap();
    assert_eq!(
        policy["Statement"],
        json!([
            { "Effect": "Allow", "Action": "s3:*", "Resource": "*" },
            { "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*" },
        ])
    );
}

#[tokio::test]
async fn what_is_claimed_is_in_the_audit_line_the_tags_and_the_policys_context() {
    let api = Api::start().await;
    let claims = "reason=Ausfall%20%C3%BCberall&ticket=OPS-1%231&agent=coding-helper:2";
    let refused = ask(&api, &format!("profile=narrowable&{claims}")).await;
    assert_eq!(refused.outcome(), (403, "POLICY_DENY".to_owned()));
    assert_eq!(refused.body()["Message"], "Coding agents get scope=read-only.");
    let granted = ask(&api, &format!("profile=narrowable&scope=read-only&{claims}")).await;
    assert_eq!(granted.status(), 200);
    let claimed = json!({
        "reason": "Ausfall überall", "ticket": "OPS-1#1", "agent": "coding-helper:2"
    });
    assert_eq!((&refused.audit["claimed"], &granted.audit["claimed"]), (&claimed, &claimed));
    let asked = api.sts.requests().await.remove(0);
    let tags = tags(&asked);
    assert_eq!(tags["SentinelReason"], "Ausfall _berall");
    assert_eq!(tags["SentinelTicket"], "OPS-1_1");
    assert_eq!(tags["SentinelAgent"], "coding-helper:2");
    let nothing = ask(&api, "profile=narrowable").await;
    assert_eq!(nothing.audit.get("claimed"), None);
}

#[tokio::test]
async fn a_rule_can_demand_a_claim() {
    let api = Api::start().await;
    let hurried = ask(&api, "profile=narrowable&reason=hurry").await;
    assert_eq!(hurried.body()["Message"], "Who is in a hurry names a ticket.");
    let ticketed = json!({ "profile": "narrowable", "reason": "hurry", "ticket": "OPS-1" });
    assert_eq!(api.send(Call::post(ticketed.to_string())).await.status(), 200);
}

#[tokio::test]
async fn explain_and_the_list_of_profiles_know_scopes_and_claims() {
    let api = Api::start().await;
    let explain =
        async |query: &str| api.send(Call::get(&format!("/v1/explain?{query}"))).await.body();
    assert_eq!(explain("profile=only-narrowed").await["allowed"], false);
    assert_eq!(explain("profile=only-narrowed&scope=no-deletion").await["allowed"], true);
    let hurried = explain("profile=narrowable&reason=hurry").await;
    assert_eq!(hurried["reasons"], json!(["Who is in a hurry names a ticket."]));
    let unknown = explain("profile=narrowable&scope=other").await;
    let reason = "This profile has no such scope. It has: no-deletion, read-only.";
    assert_eq!((&unknown["allowed"], &unknown["reasons"]), (&json!(false), &json!([reason])));
    let listed = api.send(Call::get("/v1/profiles")).await.body();
    let named = |name: &str| {
        let all = listed["Profiles"].as_array().or(listed["profiles"].as_array()).unwrap();
        all.iter().find(|profile| profile["name"] == name).cloned()
    };
    assert_eq!(
        named("narrowable").unwrap()["scopes"],
        json!([
            { "name": "no-deletion", "description": "Everything but deleting" },
            { "name": "read-only", "description": "Look, and change nothing" },
        ])
    );
    assert_eq!(named("development").unwrap().get("scopes"), None);
    assert_eq!(named("only-narrowed"), None, "it is not granted without a scope");
}

/// THREAT: the name of a scope shows whether a profile exists, or a scope that does not exist counts as
/// none, which gives the whole role.
/// PREVENTION: it is refused, and with a reason of its own only where a policy permits the profile.
#[tokio::test]
async fn security_a_scope_that_does_not_exist_is_refused_and_shows_no_profile() {
    let api = Api::start().await;
    let unknown = ask(&api, "profile=narrowable&scope=other").await;
    assert_eq!(unknown.outcome(), (403, "POLICY_DENY".to_owned()));
    assert!(unknown.body()["Message"].as_str().unwrap().contains("no such scope"));
    assert_eq!(unknown.audit["detail"], "denied: no such scope");
    // A policy that asks for any scope is satisfied by the name, but the profile has none such.
    assert_eq!(ask(&api, "profile=only-narrowed&scope=other").await.status(), 403);
    let [closed, missing] = [
        ask(&api, "profile=nobody&scope=other").await.body(),
        ask(&api, "profile=missing&scope=other").await.body(),
    ];
    assert_eq!(closed["Message"], missing["Message"]);
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: a claim with control characters forges a log line, or one that is malformed, repeated or
/// empty silently means that nothing was said or that the whole role is wanted.
/// PREVENTION: each has one form, and anything else is refused.
#[tokio::test]
async fn security_malformed_scopes_and_claims_are_refused() {
    let api = Api::start().await;
    let long = "x".repeat(257);
    for (name, values) in [
        ("scope", vec!["", "-x", "a%20b", "read-only%00", "../x", "*"]),
        ("reason", vec!["", "%20", "a%0Ab", "a%1B[2Jb", "%E2%80%AEb", &long]),
        ("ticket", vec!["", "a%20b", "%3Cb%3E", "a%0A"]),
        ("agent", vec!["", "a%20b", "a%0A", "%C3%A9"]),
    ] {
        for value in values {
            let answer = ask(&api, &format!("profile=narrowable&{name}={value}")).await;
            assert_eq!(answer.outcome(), (400, "INVALID_REQUEST".to_owned()), "{name}={value}");
        }
        let twice = ask(&api, &format!("profile=narrowable&{name}=a&{name}=b")).await;
        assert_eq!(twice.outcome(), (400, "INVALID_REQUEST".to_owned()), "{name} twice");
        for value in [json!(null), json!(1), json!(["read-only"]), json!({}), json!("")] {
            let body = json!({ "profile": "narrowable", name: value });
            let answer = api.send(Call::post(body.to_string())).await;
            assert_eq!(answer.outcome(), (400, "INVALID_REQUEST".to_owned()), "{body}");
        }
    }
    assert!(api.sts.requests().await.is_empty());
}
