//! The audit line as CloudWatch metrics.

use crate::support::audit::metric;
use crate::support::parameters::FakeParameters;
use crate::support::{Answer, Api, Call, Dynamo, EVENTS, FakeJamf};
use serde_json::{Value, json};

async fn vend(api: &Api, profile: &str) -> Answer {
    api.send(Call::get(&format!("/?profile={profile}"))).await
}

fn value(answer: &Answer, name: &str) -> Value {
    metric(&answer.audit, name).map_or(Value::Null, |(_, value)| value.clone())
}

#[tokio::test]
async fn outcomes_are_counted_by_code_and_by_profile() {
    let api = Api::with(&[("AWS_LAMBDA_FUNCTION_NAME", "vending")]).await;
    let granted = vend(&api, "development").await;
    let by_code_and_profile = json!([["function", "code"], ["function", "profile", "code"]]);
    assert_eq!(metric(&granted.audit, "Requests"), Some((&by_code_and_profile, &json!(1))));
    assert_eq!(
        (&granted.audit["function"], &granted.audit["code"]),
        (&json!("vending"), &json!("OK"))
    );
    assert_eq!(metric(&granted.audit, "Latency").unwrap().0, &json!([["function", "code"]]));
    for stage in ["Admit", "ClientToken", "Device", "Policy", "Decide", "AssumeRole"] {
        assert!(metric(&granted.audit, &format!("{stage}Latency")).is_some(), "{stage}");
    }
    let refused = vend(&api, "nobody").await;
    assert_eq!(metric(&refused.audit, "Requests").unwrap().0, &by_code_and_profile);
    assert_eq!(
        value(&refused, "AssumeRoleLatency"),
        Value::Null,
        "the request ended before that stage"
    );
}

/// THREAT: a caller requests many invented profiles, or uses many sessions, and each makes a new
/// metric, which costs the operator money and shows people's names to everyone who reads metrics.
/// PREVENTION: the only dimensions are the function, the code, the limiter that decided, the
/// posture, and profiles of the catalogue.
#[tokio::test]
async fn security_callers_cannot_make_metrics() {
    let api = Api::start().await;
    let invented = vend(&api, "invented-by-the-caller").await;
    assert_eq!(metric(&invented.audit, "Requests").unwrap().0, &json!([["function", "code"]]));
    for (name, _) in EVENTS {
        let answer = api.send(Call::event(name)).await;
        let (caller, directives) =
            (answer.audit["principal"].as_str().unwrap(), answer.audit["_aws"].to_string());
        assert!(!directives.contains(caller) && !directives.contains("arn:"), "{name}");
    }
}

#[tokio::test]
async fn each_limiter_decision_and_breaker_transition_is_counted_once() {
    let dynamo = Dynamo::start().await;
    let api = Api::with_table(&dynamo, &[("SENTINEL_BREAKER_FAILURE_THRESHOLD", "2")]).await;
    let reported = |answer: &Answer| {
        ["LimiterDegraded", "BreakerOpen", "BreakerTransitions"].map(|name| value(answer, name))
    };
    let well = vend(&api, "development").await;
    assert_eq!(
        (&well.audit["limiter"], reported(&well)),
        (&json!("dynamodb"), [json!(0), json!(0), Value::Null])
    );
    assert_eq!(
        metric(&well.audit, "LimiterDecisions"),
        Some((&json!([["function", "limiter"]]), &json!(1)))
    );
    dynamo.fail(500, "InternalServerError");
    assert_eq!(reported(&vend(&api, "development").await), [json!(1), json!(0), Value::Null]);
    let opening = vend(&api, "development").await;
    assert_eq!(
        (&opening.audit["limiter"], reported(&opening)),
        (&json!("memory"), [json!(1), json!(1), json!(1)])
    );
    assert_eq!(reported(&vend(&api, "development").await), [json!(1), json!(1), Value::Null]);
}

#[tokio::test]
async fn refusals_and_evictions_of_the_local_store_are_counted() {
    let api = Api::with(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1"),
        ("SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS", "1"),
    ])
    .await;
    let reported =
        |answer: &Answer| ["LocalRefusals", "StoreEvictions"].map(|name| value(answer, name));
    let first = vend(&api, "development").await;
    assert_eq!(
        (reported(&first), value(&first, "StoreKeys")),
        ([Value::Null, Value::Null], json!(1))
    );
    assert_eq!(reported(&vend(&api, "development").await), [json!(1), Value::Null]);
    assert_eq!(
        reported(&api.send(Call::event("function-url-user")).await),
        [Value::Null, json!(1)]
    );
    assert_eq!(reported(&api.send(Call::event("function-url-user")).await)[1], Value::Null);
}

#[tokio::test]
async fn devices_and_the_secrets_age_are_metrics() {
    let jamf = FakeJamf::believing("CANARY-mdm-token").await;
    let uri = jamf.uri();
    let settings = [
        ("SENTINEL_MDM_PROVIDER", "jamf"),
        ("SENTINEL_MDM_BASE_URL", uri.as_str()),
        ("MDM_SECRET_ARN", "mdm"),
    ];
    let mut api = Api::with(&settings).await;
    api.secrets.hold("CANARY-mdm-token").await;
    for (device, posture) in [
        ("GOOD", "compliant"),
        ("BAD", "noncompliant"),
        ("LOST", "unmanaged"),
        ("NOSUCH", "unknown"),
    ] {
        let answer = vend(&api, &format!("development&device_id={device}")).await;
        assert_eq!(
            (value(&answer, "DevicePostures"), &answer.audit["posture"]),
            (json!(1), &json!(posture)),
            "{device}"
        );
        assert_eq!(value(&answer, "SecretAge"), 0);
    }
    assert_eq!(value(&vend(&api, "development").await, "DevicePostures"), Value::Null);
    api.secrets.fail(500, "InternalServiceError").await;
    api.wait(3_700);
    let stale = vend(&api, "development&device_id=BAD").await;
    assert_eq!(
        ["SecretAge", "SecretRefreshFailures"].map(|name| value(&stale, name)),
        [json!(3_700), json!(1)]
    );
    jamf.answer(500, "").await;
    let lost = vend(&api, "development&device_id=BAD").await;
    assert_eq!(
        (&lost.audit["posture"], value(&lost, "SecretRefreshFailures")),
        (&json!("unavailable"), Value::Null)
    );
}

#[tokio::test]
async fn shadow_denials_are_counted() {
    let api = Api::start().await;
    let rehearsed = vend(&api, "rehearsed").await;
    assert_eq!((rehearsed.status(), value(&rehearsed, "ShadowDenials")), (200, json!(1)));
    assert_eq!(
        rehearsed.audit["shadow"],
        json!({ "would": "deny", "rules": ["rehearsed-closed"] })
    );
    assert_eq!(value(&vend(&api, "development").await, "ShadowDenials"), Value::Null);
}

#[tokio::test]
async fn the_policy_age_is_that_of_the_bundle_that_decided() {
    let profiles = "[development]\nrole_arn = \"arn:aws:iam::222222222222:role/vended\"";
    let store = FakeParameters::holding(&[
        ("profiles", profiles),
        ("policies/a", "permit (principal, action, resource);"),
    ])
    .await;
    let mut api = Api::with_parameters(&store, &[]).await;
    let reported =
        |answer: &Answer| ["PolicyAge", "PolicyReloadFailures"].map(|name| value(answer, name));
    api.wait(3_600);
    let idle = api.send(Call::get("/v1/health")).await;
    assert_eq!(reported(&idle)[0], Value::Null, "health decides nothing");
    assert_eq!(reported(&vend(&api, "development").await), [json!(0), Value::Null]);
    store.put(&[("policies/a", "permit")]);
    api.wait(40);
    assert_eq!(reported(&vend(&api, "development").await), [json!(40), json!(1)]);
    assert_eq!(reported(&vend(&api, "development").await), [json!(40), Value::Null]);
    let directory = Api::start().await;
    assert_eq!(reported(&vend(&directory, "development").await), [Value::Null, Value::Null]);
}

#[tokio::test]
async fn the_age_of_the_client_tokens_is_a_metric_and_a_secret_that_never_changes_has_none() {
    let mut api = Api::with(&[("SENTINEL_CLIENT_TOKEN_SECRET_ARN", "client-tokens")]).await;
    let token = "CANARY-token-0000000000000000000";
    api.secrets.hold(token).await;
    let call = || Call::get("/?profile=development").set("/headers/x-sentinel-token", token);
    let readings =
        |answer: &Answer| ["SecretAge", "SecretRefreshFailures"].map(|name| value(answer, name));
    assert_eq!(readings(&api.send(call()).await), [json!(0), Value::Null]);
    api.wait(100);
    assert_eq!(readings(&api.send(call()).await), [json!(100), Value::Null]);
    api.secrets.fail(500, "InternalServiceError").await;
    api.wait(3_600);
    assert_eq!(readings(&api.send(call()).await), [json!(3_700), json!(1)]);

    let jamf = FakeJamf::believing("CANARY-mdm-token").await;
    let uri = jamf.uri();
    let settings = [
        ("SENTINEL_MDM_PROVIDER", "jamf"),
        ("SENTINEL_MDM_BASE_URL", uri.as_str()),
        ("SENTINEL_MDM_API_TOKEN", "CANARY-mdm-token"),
    ];
    let answer = vend(&Api::with(&settings).await, "development&device_id=GOOD").await;
    assert_eq!(answer.audit["posture"], "compliant");
    assert_eq!(readings(&answer), [Value::Null, Value::Null]);
}
