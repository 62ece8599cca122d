//! Device posture, through the whole function.

use crate::support::{Api, Call, FakeJamf};
use serde_json::{Value, json};

const TOKEN: &str = "CANARY-mdm-token";

async fn api(jamf: &FakeJamf, required: bool, more: &[(&str, &str)]) -> Api {
    let uri = jamf.uri();
    let common = [
        ("SENTINEL_MDM_PROVIDER", "jamf"),
        ("SENTINEL_MDM_BASE_URL", uri.as_str()),
        ("MDM_SECRET_ARN", "mdm"),
        ("SENTINEL_REQUIRE_DEVICE", if required { "true" } else { "false" }),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "0"),
    ];
    let api = Api::with(&[&common, more].concat()).await;
    api.secrets.hold(TOKEN).await;
    api
}

fn on(device: &str) -> Call {
    Call::get(&format!("/?profile=development&device_id={device}"))
}

fn outcome(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn the_audit_line_has_the_device_posture() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, false, &[]).await;
    let known = json!({
        "provider": "jamf", "managed": true, "compliant": true, "owner": "alice@example.com",
        "last_seen": "2026-03-04T10:00:00Z", "source": "mdm", "secret": "fresh",
    });
    assert_eq!(api.send(on("GOOD")).await.audit["device"], known);
    assert_eq!(api.send(on("GOOD")).await.audit["device"]["source"], "cache");
    assert_eq!(
        api.send(on("NOSUCH")).await.audit["device"],
        json!({ "failure": "no such device" })
    );
    assert_eq!(api.send(Call::get("/?profile=development")).await.audit["device"], Value::Null);
}

#[tokio::test]
async fn policies_see_the_device() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, false, &[]).await;
    for (device, status) in [("GOOD", 200), ("BAD", 403), ("LOST", 403), ("NOSUCH", 403)] {
        let call = Call::get(&format!("/?profile=own-device&device_id={device}"));
        assert_eq!(api.send(call.clone()).await.status(), status, "{device}");
    }
    assert_eq!(api.send(Call::get("/?profile=own-device")).await.status(), 403);
    let bob = Call::by(
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/bob@example.com",
    );
    assert_eq!(
        api.send(bob.target("GET", "/?profile=own-device&device_id=GOOD")).await.status(),
        403,
        "the device belongs to alice"
    );
}

#[tokio::test]
async fn a_failed_look_up_of_an_optional_device_counts_as_no_device() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, false, &[]).await;
    jamf.answer(500, "{}").await;
    let open = api.send(on("GOOD")).await;
    assert_eq!(open.status(), 200, "no rule needs a device here");
    assert_eq!(
        open.audit["device"]["failure"],
        "the device-management system did not answer: HTTP 500"
    );
    assert_eq!(
        api.send(Call::get("/?profile=own-device&device_id=GOOD")).await.outcome(),
        outcome(403, "POLICY_DENY")
    );
}

#[tokio::test]
async fn a_thousand_warm_requests_ask_for_the_secret_once() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let mut api = api(&jamf, true, &[("SENTINEL_MDM_POSTURE_TTL", "0")]).await;
    for _ in 0..1_000 {
        assert_eq!(api.send(on("GOOD")).await.status(), 200);
        api.now += time::Duration::seconds(1);
    }
    assert_eq!(api.secrets.asked().await, 1);
}

#[tokio::test]
async fn a_rotation_needs_no_restart_and_loses_no_request() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, true, &[("SENTINEL_MDM_POSTURE_TTL", "0")]).await;
    assert_eq!(api.send(on("GOOD")).await.status(), 200);
    api.secrets.hold("CANARY-new-token").await;
    jamf.believe("CANARY-new-token").await;
    for _ in 0..20 {
        assert_eq!(api.send(on("GOOD")).await.status(), 200);
    }
    assert_eq!(api.secrets.asked().await, 1);
}

#[tokio::test]
async fn compliant_devices_are_cached_for_a_minute_and_others_never() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let mut api = api(&jamf, true, &[]).await;
    for (device, status, requests) in [("GOOD", 200, 2), ("BAD", 403, 4)] {
        let before = jamf.asked().await;
        assert_eq!(api.send(on(device)).await.status(), status);
        assert_eq!(api.send(on(device)).await.status(), status);
        assert_eq!(jamf.asked().await - before, requests, "{device}");
    }
    jamf.answer(500, "{}").await;
    api.now += time::Duration::seconds(59);
    assert_eq!(api.send(on("GOOD")).await.status(), 200);
    api.now += time::Duration::seconds(1);
    assert_eq!(api.send(on("GOOD")).await.status(), 503);
}

#[tokio::test]
async fn explain_reports_a_missing_required_device() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, true, &[]).await;
    for (query, allowed) in [
        ("", false),
        ("&device_id=BAD", false),
        ("&device_id=NOSUCH", false),
        ("&device_id=GOOD", true),
    ] {
        let answer = api.send(Call::get(&format!("/v1/explain?profile=development{query}"))).await;
        assert_eq!((answer.status(), &answer.body()["allowed"]), (200, &json!(allowed)), "{query}");
        assert_eq!(answer.body()["missing"], if allowed { json!([]) } else { json!(["device"]) });
    }
    jamf.answer(500, "{}").await;
    let down = api.send(Call::get("/v1/explain?profile=development&device_id=BAD")).await;
    assert_eq!(down.outcome(), outcome(503, "SERVICE_UNAVAILABLE"));
}

/// THREAT: a caller omits the device, misspells the parameter, or names a device that is not
/// compliant, and still passes.
/// PREVENTION: with `SENTINEL_REQUIRE_DEVICE` a request passes only with a device that is managed
/// and compliant, for every profile and whatever the policies permit.
#[tokio::test]
async fn security_a_required_device_cannot_be_bypassed() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, true, &[]).await;
    for (call, status, code) in [
        (Call::get("/?profile=development"), 403, "DEVICE_REQUIRED"),
        (Call::post(r#"{"profile":"development"}"#), 403, "DEVICE_REQUIRED"),
        (Call::post(r#"{"profile":"development","device_id":null}"#), 403, "DEVICE_REQUIRED"),
        (on(""), 400, "INVALID_DEVICE"),
        (Call::post(r#"{"profile":"development","device_id":""}"#), 400, "INVALID_DEVICE"),
        (on("%22,udid==*"), 400, "INVALID_DEVICE"),
        (on("GOOD&device_id=BAD"), 400, "INVALID_REQUEST"),
        (Call::get("/?profile=development&Device_Id=GOOD"), 400, "INVALID_REQUEST"),
        (
            Call::get("/?profile=development").set("/headers/x-device-id", "GOOD"),
            403,
            "DEVICE_REQUIRED",
        ),
        (on("NOSUCH"), 403, "DEVICE_VERIFICATION_FAILED"),
        (on("LOST"), 403, "DEVICE_VERIFICATION_FAILED"),
        (on("BAD"), 403, "DEVICE_VERIFICATION_FAILED"),
    ] {
        let answer = api.send(call).await;
        assert_eq!(answer.outcome(), outcome(status, code), "{}", answer.audit);
    }
    assert!(api.sts.requests().await.is_empty());
    assert_eq!(api.send(on("GOOD")).await.status(), 200);
}

/// THREAT: when the device management is down or slow or sends malformed replies, the function
/// skips the check, or passes its messages on to the caller.
/// PREVENTION: without a posture there are no credentials; the reply has fixed texts.
#[tokio::test]
async fn security_without_a_posture_nobody_passes() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let api = api(&jamf, true, &[("SENTINEL_MDM_TIMEOUT_MS", "2000")]).await;
    for (status, body) in [
        (500, r#"{"CANARY":1}"#),
        (503, "CANARY"),
        (403, r#"{"errors":["CANARY"]}"#),
        (429, "{}"),
        (302, "{}"),
        (200, "CANARY"),
        (200, "{}"),
        (200, "[]"),
        (200, r#"{"results":[{"id":"1"}"#),
        (200, r#"{"results":{"CANARY":1}}"#),
    ] {
        jamf.answer(status, body).await;
        let answer = api.send(on("GOOD")).await;
        assert_eq!(answer.outcome(), outcome(503, "SERVICE_UNAVAILABLE"), "{status} {body}");
        assert!(
            !answer.shown().contains("CANARY") && !answer.audit.to_string().contains("CANARY"),
            "{}",
            answer.audit
        );
    }
    jamf.answer(200, r#"{"totalCount":0,"results":[]}"#).await;
    assert_eq!(api.send(on("GOOD")).await.outcome(), outcome(403, "DEVICE_VERIFICATION_FAILED"));
    jamf.hang().await;
    assert_eq!(api.send(on("GOOD")).await.outcome(), outcome(503, "SERVICE_UNAVAILABLE"));
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: when the secret is unavailable or malformed, the function looks devices up without a
/// token and accepts the reply.
/// PREVENTION: without a secret the function sends no look-up.
#[tokio::test]
async fn security_without_the_secret_no_device_is_looked_up() {
    let jamf = FakeJamf::believing(TOKEN).await;
    let mut api = api(&jamf, true, &[]).await;
    api.secrets.fail(400, "AccessDeniedException").await;
    let answer = api.send(on("GOOD")).await;
    assert_eq!(answer.outcome(), outcome(503, "SERVICE_UNAVAILABLE"));
    assert!(answer.audit["detail"].as_str().unwrap().contains("AccessDeniedException"));
    for text in ["", "two words", "{"] {
        api.wait(10);
        api.secrets.hold(text).await;
        assert_eq!(
            api.send(on("GOOD")).await.outcome(),
            outcome(503, "SERVICE_UNAVAILABLE"),
            "{text:?}"
        );
    }
    assert_eq!(jamf.asked().await, 0);
}
