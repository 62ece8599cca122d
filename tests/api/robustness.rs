//! Events that no AWS service sends: each gets an answer and an audit line, and none a panic or a
//! 5xx.

use crate::support::{Api, Call, EVENTS};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Any JSON, with member names the function looks for among the others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop_oneof![
            Just("GET"),
            Just("POST"),
            Just("/"),
            Just("/v1/credentials"),
            Just("profile=development"),
            Just("2.0")
        ]
        .prop_map(Value::from),
        "arn:aws:(iam|sts)::[0-9]{11,12}:(user|assumed-role|federated-user|root)(/[a-z]{0,4}){0,3}"
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("requestContext".to_owned()),
        Just("authorizer".to_owned()),
        Just("iam".to_owned()),
        Just("userArn".to_owned()),
        Just("identity".to_owned()),
        Just("http".to_owned()),
        Just("method".to_owned()),
        Just("rawPath".to_owned()),
        Just("rawQueryString".to_owned()),
        Just("body".to_owned()),
        Just("isBase64Encoded".to_owned()),
        Just("sourceIp".to_owned()),
        Just("stage".to_owned()),
        Just("queryStringParameters".to_owned()),
        ".{0,10}",
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(name.clone(), inner, 0..8)
                .prop_map(|members| json!(members)),
        ]
    })
}

/// The JSON pointers of all members of a value.
fn pointers(value: &Value, prefix: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let pointer = format!("{prefix}/{}", name.replace('~', "~0").replace('/', "~1"));
        pointers(member, &pointer, found);
        found.push(pointer);
    }
}

fn check(api: &Api, runtime: &tokio::runtime::Runtime, event: Value) -> Result<(), TestCaseError> {
    let shown = event.to_string();
    let status = runtime.block_on(api.send(event)).status();
    prop_assert!(status < 500, "{status} for {shown}");
    Ok(())
}

#[test]
fn arbitrary_events_are_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = runtime.block_on(Api::start());
    let mut runner =
        TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    runner.run(&any_json(), |event| check(&api, &runtime, event)).unwrap();
}

#[test]
fn real_events_with_any_member_replaced_are_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = runtime.block_on(Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "0")]));
    let events: Vec<Value> = EVENTS.iter().map(|(name, _)| Call::event(name).into()).collect();
    let members = events.iter().flat_map(|event| {
        let mut found = Vec::new();
        pointers(event, "", &mut found);
        found.into_iter().map(move |pointer| (event.clone(), pointer))
    });
    let members: Vec<(Value, String)> = members.collect();
    let mut runner =
        TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    let changed = (proptest::sample::select(members), any_json());
    runner
        .run(&changed, |((mut event, pointer), replacement)| {
            *event.pointer_mut(&pointer).unwrap() = replacement;
            check(&api, &runtime, event)
        })
        .unwrap();
}

#[tokio::test]
async fn events_without_a_request_context_have_no_identity() {
    for event in [
        json!(null),
        json!({}),
        json!([]),
        json!("x"),
        json!(5),
        json!({ "requestContext": null }),
        json!({ "requestContext": "x" }),
    ] {
        assert_eq!(
            Api::start().await.send(event).await.outcome(),
            (403, "IAM_AUTH_REQUIRED".to_owned())
        );
    }
}

/// THREAT: credentials go out although their audit line is lost: a full disk, a closed pipe.
/// PREVENTION: the line is written before the reply; if that fails, the reply holds no credentials.
#[tokio::test]
async fn security_no_credentials_without_an_audit_line() {
    let api = Api::start().await;
    api.log_works.store(false, std::sync::atomic::Ordering::Relaxed);
    let answer = api.send(Call::get("/?profile=development")).await;
    assert_eq!((answer.status(), &answer.body()["Code"]), (503, &"SERVICE_UNAVAILABLE".into()));
    assert!(!answer.response.body.contains("AccessKeyId"), "{}", answer.response.body);
    assert_eq!(answer.header("X-Sentinel-Granted-Seconds"), None);
}
