//! The optional second factor: a token that requests must carry.

use crate::support::{Api, Call};

async fn api() -> Api {
    let api = Api::with(&[("SENTINEL_CLIENT_TOKEN_SECRET_ARN", "client-tokens")]).await;
    api.secrets.hold("CANARY-old-000000000000000000000,CANARY-new-000000000000000000000").await;
    api
}

fn with_token(token: &str) -> Call {
    Call::get("/?profile=development").set("/headers/x-sentinel-token", token)
}

#[tokio::test]
async fn old_and_new_tokens_are_valid_at_once() {
    let api = api().await;
    for token in ["CANARY-old-000000000000000000000", "CANARY-new-000000000000000000000"] {
        assert_eq!(api.send(with_token(token)).await.status(), 200);
    }
    assert_eq!(api.secrets.asked().await, 1);
}

#[tokio::test]
async fn a_new_token_works_at_once_and_a_removed_one_stops_after_the_refresh() {
    let mut api = api().await;
    assert_eq!(api.send(with_token("CANARY-old-000000000000000000000")).await.status(), 200);
    api.secrets.hold("CANARY-new-000000000000000000000,CANARY-newest-000000000000000000").await;
    assert_eq!(api.send(with_token("CANARY-newest-000000000000000000")).await.status(), 200);
    assert_eq!(
        api.send(with_token("CANARY-old-000000000000000000000")).await.status(),
        401,
        "the cache is new"
    );
    api.wait(3_600);
    assert_eq!(api.send(with_token("CANARY-new-000000000000000000000")).await.status(), 200);
}

#[tokio::test]
async fn the_header_is_found_in_any_case_and_in_rest_events() {
    let api = api().await;
    let rest = Call::event("rest-api-user").target("GET", "/?profile=development");
    let rest = rest.set(
        "/multiValueHeaders/X-SENTINEL-Token",
        serde_json::json!(["CANARY-new-000000000000000000000"]),
    );
    assert_eq!(api.send(rest).await.status(), 200);
}

#[tokio::test]
async fn without_the_setting_no_token_is_needed_and_no_secret_is_read() {
    let api = Api::start().await;
    assert_eq!(api.send(Call::get("/?profile=development")).await.status(), 200);
    assert_eq!(api.secrets.asked().await, 0);
}

/// THREAT: a caller without a valid token gets further than the token check, or learns from the
/// answer what is valid.
/// PREVENTION: missing and wrong tokens get the same reply, before parsing and policy; no part of a
/// token is in a reply or the log.
#[tokio::test]
async fn security_missing_and_wrong_tokens_are_refused_alike() {
    let api = api().await;
    let missing = api.send(Call::get("/?profile=development")).await;
    assert_eq!(missing.outcome(), (401, "CLIENT_TOKEN_INVALID".to_owned()));
    assert_eq!(missing.header("WWW-Authenticate"), Some("X-Sentinel-Token"));
    let twice = Call::event("rest-api-user").set(
        "/multiValueHeaders/X-Sentinel-Token",
        serde_json::json!(["CANARY-new-000000000000000000000", "CANARY-old-000000000000000000000"]),
    );
    let numeric = Call::get("/").set("/headers/x-sentinel-token", 5);
    for call in [
        with_token(""),
        with_token("CANARY-ol"),
        with_token("CANARY-old-000000000000000000000,CANARY-new-000000000000000000000"),
        twice,
        numeric,
    ] {
        let answer = api.send(call).await;
        assert_eq!(answer.outcome(), (401, "CLIENT_TOKEN_INVALID".to_owned()));
        assert_eq!(answer.body()["Message"], missing.body()["Message"]);
        assert!(!answer.audit.to_string().contains("CANARY"));
    }
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: when the function cannot read the tokens, it skips the check.
/// PREVENTION: without tokens every request fails.
#[tokio::test]
async fn security_without_the_secret_nobody_passes() {
    let mut api = api().await;
    for (status, code) in [(500, "InternalServiceError"), (400, "ResourceNotFoundException")] {
        api.secrets.fail(status, code).await;
        let answer = api.send(with_token("CANARY-new-000000000000000000000")).await;
        assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
        api.wait(10);
    }
    for text in ["", ",", " "] {
        api.secrets.hold(text).await;
        assert_eq!(api.send(with_token("")).await.status(), 503, "{text:?}");
        api.wait(10);
    }
}

/// THREAT: a caller guesses tokens as fast as the network allows.
/// PREVENTION: the quota comes before the token.
#[tokio::test]
async fn security_guesses_are_limited() {
    let api = Api::with(&[
        ("SENTINEL_CLIENT_TOKEN_SECRET_ARN", "client-tokens"),
        ("SENTINEL_RATE_LIMIT_REQUESTS", "3"),
    ])
    .await;
    api.secrets.hold("CANARY-new-000000000000000000000").await;
    for _ in 0..3 {
        assert_eq!(api.send(with_token("guess")).await.status(), 401);
    }
    assert_eq!(api.send(with_token("CANARY-new-000000000000000000000")).await.status(), 429);
    assert_eq!(
        api.secrets.asked().await,
        2,
        "once for the first request, and once for the first wrong token"
    );
}
