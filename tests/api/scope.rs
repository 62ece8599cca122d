//! What narrows a session, as STS gets it and as the audit line has it.

use crate::support::{Api, Call};
use serde_json::{Value, json};

#[tokio::test]
async fn sts_gets_the_session_policies_tags_and_address_of_the_caller() {
    let api = Api::start().await;
    let answer = api.send(Call::get("/?profile=scoped")).await;
    assert_eq!(answer.status(), 200);
    let asked = api.sts.requests().await.remove(0);
    let policy: Value = serde_json::from_str(&asked["Policy"]).unwrap();
    assert_eq!(policy["Statement"][0]["Resource"], "arn:aws:s3:::homes/alice@example.com/*");
    assert_eq!(
        policy["Statement"][1]["Condition"]["NotIpAddress"],
        json!({ "aws:SourceIp": "198.51.100.7/32" })
    );
    assert_eq!(asked["PolicyArns.member.1.arn"], "arn:aws:iam::aws:policy/ReadOnlyAccess");
    assert_eq!(
        (&*asked["Tags.member.3.Key"], &*asked["Tags.member.3.Value"]),
        ("Owner", "alice@example.com")
    );
    assert_eq!(asked["TransitiveTagKeys.member.1"], "Owner");
    assert_eq!(answer.audit["session_policy"], asked["Policy"]);
    assert_eq!(answer.audit["policy_arns"], json!(["arn:aws:iam::aws:policy/ReadOnlyAccess"]));
    assert_eq!(answer.audit["packed_policy_size"], 6);
}

#[tokio::test]
async fn a_profile_without_a_scope_sends_none() {
    let api = Api::start().await;
    api.send(Call::get("/?profile=capped")).await;
    let asked = api.sts.requests().await.remove(0);
    assert!(
        !asked.keys().any(|key| key.starts_with("Policy") || key.starts_with("Transitive")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_caller_without_an_address_is_refused_a_bound_profile_with_the_cause_in_the_log_only() {
    let api = Api::start().await;
    let call = Call::get("/?profile=scoped").without("/requestContext/http/sourceIp");
    let answer = api.send(call.clone()).await;
    assert_eq!(answer.outcome(), (403, "POLICY_DENY".to_owned()));
    let message = "This profile cannot be given to you as it is set up. Tell your administrators the RequestId.";
    assert_eq!(answer.body()["Message"], message);
    assert_eq!(
        answer.audit["detail"],
        "denied: the caller's address is not known, to which the profile binds its sessions"
    );
    assert_eq!(answer.audit["rules"], json!(["scoped-open-to-all"]));
    let listed = api.send(call.clone().target("GET", "/v1/profiles")).await;
    assert!(!listed.response.body.contains("\"scoped\""), "it could not be granted");
    let explained = api.send(call.target("GET", "/v1/explain?profile=scoped")).await.body();
    assert_eq!((&explained["allowed"], &explained["reasons"]), (&json!(false), &json!([message])));
}
