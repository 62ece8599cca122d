//! Secrets that change while the function runs, and access tokens that expire.

use super::*;
use sentinel_tvm::Freshness;
use time::Duration as Span;

const NEW_TOKEN: &str = "CANARY-rotated";
const TOKENS: &str = "/api/oauth/token";

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn issued(token: &str, expires_in: u32) -> Value {
    json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in, "scope": "api-role:1" })
}

/// A Kandji that takes one token only.
async fn kandji_with(token: &str) -> Stage {
    let stage = Stage::start().await;
    stage.answer_to(token, kandji::DEVICES, ok(&json!([kandji::listed()]))).await;
    refuse_other_tokens(&stage).await;
    stage
}

/// A Jamf Pro that issues, one after the other, access tokens with these life times, and takes all
/// of them.
async fn jamf_issuing(lifetimes: &[u32]) -> Stage {
    let stage = Stage::with_secret(CLIENT).await;
    for (index, lifetime) in lifetimes.iter().enumerate() {
        let token = format!("CANARY-access-{index}");
        let asked = Mock::given(method("POST"))
            .and(path(TOKENS))
            .respond_with(ok(&issued(&token, *lifetime)));
        asked.up_to_n_times(1).mount(&stage.mdm).await;
        takes(&stage, &token).await;
    }
    refuse_other_tokens(&stage).await;
    stage
}

/// Refuses every token that no other reply is for.
async fn refuse_other_tokens(stage: &Stage) {
    let asked = Mock::given(method("GET")).respond_with(ResponseTemplate::new(401));
    asked.with_priority(9).mount(&stage.mdm).await;
}

/// Accepts this token. The computer is not compliant, so that every look-up sends requests.
async fn takes(stage: &Stage, token: &str) {
    let inventory = json!({ "totalCount": 1, "results": [jamf::computer()] });
    stage.answer_to(token, jamf::INVENTORY, ok(&inventory)).await;
    stage.answer_to(token, jamf::COMPLIANCE, ok(&json!([]))).await;
}

async fn tokens_issued(stage: &Stage) -> usize {
    stage.asked().await.iter().filter(|asked| asked.starts_with("POST")).count()
}

#[tokio::test]
async fn a_rotated_token_is_fetched_at_once_and_no_request_is_lost() {
    let stage = kandji_with(TOKEN).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    mdm.warm(wednesday_morning()).await;
    stage.mdm.reset().await;
    stage.answer_to(NEW_TOKEN, kandji::DEVICES, ok(&json!([kandji::listed()]))).await;
    stage.answer_to(TOKEN, kandji::DEVICES, ResponseTemplate::new(401)).await;
    stage.put_secret(NEW_TOKEN).await;
    let posture = mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap();
    assert_eq!((posture.device.compliant, posture.secret), (true, Freshness::Fresh));
    let tokens: Vec<_> = stage
        .requests()
        .await
        .iter()
        .map(|request| request.headers["authorization"].clone())
        .collect();
    assert_eq!(tokens, [format!("Bearer {TOKEN}"), format!("Bearer {NEW_TOKEN}")]);
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_not_retried() {
    let stage = kandji_with(NEW_TOKEN).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    let refused = Err(upstream("it refuses the secret"));
    assert_eq!(mdm.posture(&device(SERIAL), wednesday_morning()).await, refused);
    assert_eq!((stage.requests().await.len(), stage.secrets_asked().await), (2, 2));
    // The secret was refreshed a moment ago, so there is no refresh: the same token would be
    // refused again.
    let later = wednesday_morning() + Span::seconds(30);
    assert_eq!(mdm.posture(&device(SERIAL), later).await, refused);
    assert_eq!((stage.requests().await.len(), stage.secrets_asked().await), (3, 2));
}

#[tokio::test]
async fn a_stale_secret_is_used_and_reported() {
    let stage = kandji_with(TOKEN).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    mdm.warm(wednesday_morning()).await;
    stage.secrets.reset().await;
    let later = wednesday_morning() + Span::minutes(90);
    assert_eq!(mdm.posture(&device(SERIAL), later).await.unwrap().secret, Freshness::Stale);
}

#[tokio::test]
async fn an_access_token_is_used_until_a_minute_before_its_end() {
    let stage = jamf_issuing(&[1_200, 1_200]).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    for (seconds, issued) in [(0, 1), (1, 1), (1_139, 1), (1_140, 2), (1_200, 2)] {
        mdm.posture(&device(SERIAL), wednesday_morning() + Span::seconds(seconds)).await.unwrap();
        assert_eq!(tokens_issued(&stage).await, issued, "after {seconds} s");
    }
    assert_eq!(stage.secrets_asked().await, 1);
}

#[tokio::test]
async fn a_short_lived_access_token_is_used_for_half_its_life() {
    let stage = jamf_issuing(&[60, 60, 0, 0]).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    for (seconds, issued) in [(0, 1), (29, 1), (30, 2), (60, 3), (60, 4)] {
        mdm.posture(&device(SERIAL), wednesday_morning() + Span::seconds(seconds)).await.unwrap();
        assert_eq!(tokens_issued(&stage).await, issued, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_revoked_access_token_is_replaced() {
    let stage = jamf_issuing(&[1_200, 1_200]).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    mdm.warm(wednesday_morning()).await;
    let revoked = Mock::given(method("GET")).and(bearer_token("CANARY-access-0"));
    revoked.respond_with(ResponseTemplate::new(401)).with_priority(1).mount(&stage.mdm).await;
    assert!(mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap().device.managed);
    assert_eq!((tokens_issued(&stage).await, stage.secrets_asked().await), (2, 2));
}

#[tokio::test]
async fn refused_client_credentials_are_refreshed_once() {
    for status in [400, 401] {
        let stage = Stage::with_secret(CLIENT).await;
        stage
            .answer_client(
                TOKENS,
                ResponseTemplate::new(status).set_body_json(json!({ "error": "invalid_client" })),
            )
            .await;
        assert_eq!(stage.posture(Provider::Jamf).await, Err(upstream("it refuses the secret")));
        assert_eq!((tokens_issued(&stage).await, stage.secrets_asked().await), (2, 2));
    }
}

#[tokio::test]
async fn a_failing_token_endpoint_is_an_error_and_refreshes_no_secret() {
    let no_bearer = "an access token that is not a bearer token";
    for (response, cause) in [
        (ResponseTemplate::new(403), "HTTP 403"),
        (ResponseTemplate::new(404), "HTTP 404"),
        (ResponseTemplate::new(429), "HTTP 429"),
        (ResponseTemplate::new(500), "HTTP 500"),
        (ok(&json!({})), "a malformed reply"),
        (ok(&json!({ "access_token": "t", "token_type": "Bearer" })), "a malformed reply"),
        (ok(&json!({ "access_token": "t", "token_type": "mac", "expires_in": 60 })), no_bearer),
        (ok(&json!({ "access_token": "", "token_type": "bearer", "expires_in": 60 })), no_bearer),
        (
            ok(&json!({ "access_token": "a\nb", "token_type": "bearer", "expires_in": 60 })),
            "the request could not be built",
        ),
    ] {
        let stage = Stage::with_secret(CLIENT).await;
        stage.answer_client(TOKENS, response).await;
        assert_eq!(stage.posture(Provider::Jamf).await, Err(upstream(cause)));
        assert_eq!((tokens_issued(&stage).await, stage.secrets_asked().await), (1, 1));
    }
}

#[tokio::test]
async fn after_warming_the_first_request_only_looks_up_its_device() {
    let stage = jamf_issuing(&[1_200]).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    mdm.warm(wednesday_morning()).await;
    assert_eq!(
        (stage.asked().await, stage.secrets_asked().await),
        (vec![format!("POST {TOKENS}")], 1)
    );
    mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap();
    assert_eq!((tokens_issued(&stage).await, stage.secrets_asked().await), (1, 1));
}

#[tokio::test]
async fn after_a_failed_warming_the_first_request_fetches_the_secret() {
    let stage = Stage::with_secret(CLIENT).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    mdm.warm(wednesday_morning()).await;
    stage.mdm.reset().await;
    stage.answer_client(TOKENS, ok(&issued("CANARY-access-0", 1_200))).await;
    takes(&stage, "CANARY-access-0").await;
    assert!(mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap().device.managed);
}
