//! Payloads that are not events, in the built program.

use super::lambda::Instance;
use crate::support::{Call, FakeSts, bundle};
use serde_json::Value;

/// THREAT: a payload that the runtime cannot deserialize is answered by the runtime, and leaves no
/// audit line.
/// PREVENTION: every payload deserializes; one that is not an event is refused like an event
/// without an identity.
#[tokio::test]
async fn security_every_payload_gets_a_reply_and_an_audit_line() {
    let sts = FakeSts::start().await;
    let bundle = bundle();
    let settings =
        [("AWS_ENDPOINT_URL", &*sts.uri()), ("SENTINEL_POLICY_DIR", &bundle.to_string_lossy())];
    let mut instance = Instance::start(&settings).await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let payloads: [Vec<u8>; 8] = [
        deep(200).into(),
        deep(100_000).into(),
        format!("{{\"requestContext\":{}}}", deep(200)).into(),
        "this is not JSON".into(),
        Vec::new(),
        b"\"\xff\xfe\"".into(),
        b"\x00".into(),
        "{\"requestContext\":{\"http\":{\"method\":\"\\ud800\"}}}".into(),
    ];
    let count = payloads.len();
    for payload in payloads {
        let shown = String::from_utf8_lossy(&payload).chars().take(40).collect::<String>();
        let reply = instance.invoke_with(payload).await;
        assert_eq!(reply["statusCode"], 403, "{shown}");
        assert!(reply["body"].as_str().unwrap().contains("IAM_AUTH_REQUIRED"), "{shown}");
    }
    let deep_member: Value = serde_json::from_str(&deep(100)).unwrap();
    let event = Call::get("/v1/credentials?profile=development").set("/deep", deep_member);
    let event = Value::from(event).to_string().replace(&deep(100), &deep(200));
    assert_eq!(
        instance.invoke_with(event).await["statusCode"],
        200,
        "the function does not read that member"
    );
    let [output, _] = instance.end();
    assert_eq!(
        output.lines().filter(|line| line.contains("\"type\":\"audit\"")).count(),
        count + 1
    );
}
