//! Bad input: each kind has its own code, and none reaches STS.

use crate::support::{Api, Call};
use serde_json::Value;

async fn expect(call: impl Into<Value>, status: u16, code: &str) {
    let api = Api::start().await;
    let event: Value = call.into();
    let answer = api.send(event.clone()).await;
    assert_eq!(answer.outcome(), (status, code.to_owned()), "{event:#}");
    assert!(api.sts.requests().await.is_empty());
}

#[tokio::test]
async fn bad_queries() {
    let long = format!("profile={}", "p".repeat(65));
    let huge = format!("profile=development&device_id={}", "d".repeat(8 * 1024));
    for (query, status, code) in [
        ("", 400, "MISSING_PROFILE"),
        ("profile", 400, "MISSING_PROFILE"),
        ("profile=", 400, "MISSING_PROFILE"),
        ("duration=900", 400, "MISSING_PROFILE"),
        ("profile=-dev", 400, "INVALID_PROFILE"),
        ("profile=d%C3%A9v", 400, "INVALID_PROFILE"),
        ("profile=%FF%FE", 400, "INVALID_PROFILE"),
        ("profile=dev%00", 400, "INVALID_PROFILE"),
        ("profile=dev%0A", 400, "INVALID_PROFILE"),
        ("profile=../../etc/passwd", 400, "INVALID_PROFILE"),
        ("profile=arn:aws:iam::123456789012:role/admin", 400, "INVALID_PROFILE"),
        (&long, 400, "INVALID_PROFILE"),
        ("profile=development&duration=", 400, "INVALID_DURATION"),
        ("profile=development&duration=-1", 400, "INVALID_DURATION"),
        ("profile=development&duration=899", 400, "INVALID_DURATION"),
        ("profile=development&duration=1e3", 400, "INVALID_DURATION"),
        ("profile=development&duration=900.5", 400, "INVALID_DURATION"),
        ("profile=development&duration=0900", 400, "INVALID_DURATION"),
        ("profile=development&duration=+900", 400, "INVALID_DURATION"),
        ("profile=development&duration=99999999999", 400, "INVALID_DURATION"),
        ("profile=development&duration=18446744073709552516", 400, "INVALID_DURATION"),
        ("profile=development&device_id=", 400, "INVALID_DEVICE"),
        ("profile=development&device_id=a%27b", 400, "INVALID_DEVICE"),
        ("profile=development&device_id=%EF%BC%A1", 400, "INVALID_DEVICE"),
        ("profile=development&profile=development", 400, "INVALID_REQUEST"),
        ("profile=development&duration=900&duration=3600", 400, "INVALID_REQUEST"),
        ("profile=development&Profile=nobody", 400, "INVALID_REQUEST"),
        ("profile=development&durations=3600", 400, "INVALID_REQUEST"),
        (&huge, 413, "REQUEST_TOO_LARGE"),
    ] {
        expect(Call::get(&format!("/v1/credentials?{query}")), status, code).await;
        expect(
            Call::event("rest-api-user").target("GET", &format!("/v1/credentials?{query}")),
            status,
            code,
        )
        .await;
    }
}

#[tokio::test]
async fn bad_bodies() {
    let huge = format!(r#"{{"profile":"development","device_id":"{}"}}"#, "d".repeat(8 * 1024));
    let deep = "[".repeat(4_000);
    for (body, status, code) in [
        ("", 400, "MISSING_PROFILE"),
        ("{}", 400, "MISSING_PROFILE"),
        (r#"{"profile":null}"#, 400, "MISSING_PROFILE"),
        (r#"{"profile":""}"#, 400, "MISSING_PROFILE"),
        (r#"{"profile":5}"#, 400, "INVALID_PROFILE"),
        (r#"{"profile":["development"]}"#, 400, "INVALID_PROFILE"),
        (r#"{"profile":"development","duration":-1}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":900.5}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":1e3}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":99999999999}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":1e999}"#, 400, "INVALID_REQUEST"),
        (r#"{"profile":"development","duration":true}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":"0900"}"#, 400, "INVALID_DURATION"),
        (r#"{"profile":"development","duration":0900}"#, 400, "INVALID_REQUEST"),
        (r#"{"profile":"development","device_id":7}"#, 400, "INVALID_DEVICE"),
        (r#"{"profile":"development","profile":"nobody"}"#, 400, "INVALID_REQUEST"),
        (r#"{"profile":"development","role_arn":"x"}"#, 400, "INVALID_REQUEST"),
        (r#"["development",null,null]"#, 400, "INVALID_REQUEST"),
        (r#""development""#, 400, "INVALID_REQUEST"),
        ("null", 400, "INVALID_REQUEST"),
        ("profile=development", 400, "INVALID_REQUEST"),
        (r#"{"profile":"development"} trailing"#, 400, "INVALID_REQUEST"),
        (&deep, 400, "INVALID_REQUEST"),
        (&huge, 413, "REQUEST_TOO_LARGE"),
    ] {
        expect(Call::post(body), status, code).await;
    }
}

#[tokio::test]
async fn bad_encodings_and_misplaced_parameters() {
    let base64 = |body: &str| Call::post(body).set("/isBase64Encoded", true);
    expect(base64("not base64!"), 400, "INVALID_REQUEST").await;
    expect(base64("//79/A=="), 400, "INVALID_REQUEST").await;
    expect(base64(&"QUFB".repeat(2_731)), 413, "REQUEST_TOO_LARGE").await;
    expect(base64(&"QUFB".repeat(100_000)), 413, "REQUEST_TOO_LARGE").await;
    expect(
        Call::post(r#"{"profile":"development"}"#).set("/rawQueryString", "profile=nobody"),
        400,
        "INVALID_REQUEST",
    )
    .await;
    expect(
        Call::get("/?profile=development").set("/body", r#"{"profile":"nobody"}"#),
        400,
        "INVALID_REQUEST",
    )
    .await;
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    for path in [
        "",
        "/v1",
        "/v1/",
        "/v1/credentials/",
        "//v1/credentials",
        "/V1/credentials",
        "/v2/credentials",
        "/v1/health/x",
    ] {
        expect(Call::get(path), 404, "NOT_FOUND").await;
    }
    for method in ["PUT", "DELETE", "HEAD", "OPTIONS", "get", "", "G\u{cb}T"] {
        expect(
            Call::get("/v1/credentials").set("/requestContext/http/method", method),
            405,
            "METHOD_NOT_ALLOWED",
        )
        .await;
    }
}

#[tokio::test]
async fn parameters_of_a_signature_are_not_ours() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&profile=development";
    let answer = Api::start().await.send(Call::get(&format!("/v1/credentials?{query}"))).await;
    assert_eq!(answer.status(), 200);
}
