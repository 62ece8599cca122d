//! Device-management systems that fail. The error is a status or a fixed text.

use super::*;
use sentinel_tvm::SecretError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const JSON: &str = "application/json";

/// Each provider with the path of its first request.
fn providers() -> [(Provider, &'static str); 3] {
    [
        (Provider::Jamf, jamf::INVENTORY),
        (intune(), intune::DEVICES),
        (Provider::Kandji, kandji::DEVICES),
    ]
}

/// Checks that every provider returns this error for this reply.
async fn all_say(response: ResponseTemplate, expected: PostureError) {
    for (provider, at) in providers() {
        let stage = Stage::start().await;
        stage.answer_to(TOKEN, at, response.clone()).await;
        let name = provider.name();
        assert_eq!(stage.posture(provider).await, Err(expected.clone()), "{name}");
    }
}

#[tokio::test]
async fn a_status_other_than_200_is_an_error_that_names_it() {
    for (status, cause) in [
        (204, "HTTP 204"),
        (302, "HTTP 302"),
        (400, "HTTP 400"),
        (403, "HTTP 403"),
        (429, "HTTP 429"),
        (500, "HTTP 500"),
        (503, "HTTP 503"),
    ] {
        all_say(
            ResponseTemplate::new(status).set_body_json(json!({ "errors": ["CANARY"] })),
            upstream(cause),
        )
        .await;
    }
}

#[tokio::test]
async fn a_reply_of_another_type_is_an_error_even_if_it_would_parse() {
    let body = json!([kandji::listed()]).to_string();
    for content_type in
        ["text/html", "text/plain", "application/problem+json", "application/jsonp", ""]
    {
        let response = ResponseTemplate::new(200).set_body_raw(body.clone(), content_type);
        all_say(response, upstream("a reply that is not JSON")).await;
    }
    let stage = Stage::start().await;
    stage
        .answer_to(
            TOKEN,
            kandji::DEVICES,
            ResponseTemplate::new(200).set_body_raw(body, "Application/JSON; charset=utf-8"),
        )
        .await;
    assert!(stage.posture(Provider::Kandji).await.is_ok());
}

#[tokio::test]
async fn a_reply_of_another_shape_is_an_error() {
    for body in [
        "",
        "null",
        "7",
        "{}",
        "{\"results\":null}",
        "{\"value\":7}",
        "[7]",
        "[{]",
        "\u{0}",
        "<html>",
    ] {
        all_say(ResponseTemplate::new(200).set_body_raw(body, JSON), upstream("a malformed reply"))
            .await;
    }
}

#[tokio::test]
async fn a_reply_over_the_limit_is_not_read() {
    let blanks = " ".repeat(256 * 1024);
    all_say(
        ResponseTemplate::new(200).set_body_raw(blanks + "[]", JSON),
        upstream("a reply over 256 KiB"),
    )
    .await;
}

#[tokio::test]
async fn a_slow_reply_times_out() {
    for (provider, at) in providers() {
        let stage = Stage::start().await;
        stage
            .answer_to(TOKEN, at, ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
            .await;
        let mdm = stage.mdm_within(provider, Duration::from_millis(300)).await;
        assert_eq!(
            mdm.posture(&device(SERIAL), wednesday_morning()).await,
            Err(upstream("time-out"))
        );
    }
}

/// The token and the device each arrive in time, but both together do not.
#[tokio::test]
async fn the_time_out_is_for_the_whole_look_up() {
    let stage = Stage::with_secret(CLIENT).await;
    let slowly = |body: &Value| {
        ResponseTemplate::new(200).set_body_json(body).set_delay(Duration::from_millis(600))
    };
    let issued = json!({ "token_type": "Bearer", "expires_in": 300, "access_token": TOKEN });
    stage.answer_client("/api/oauth/token", slowly(&issued)).await;
    let inventory = json!({ "totalCount": 0, "results": [] });
    stage.answer_to(TOKEN, jamf::INVENTORY, slowly(&inventory)).await;
    let mdm = stage.mdm_within(Provider::Jamf, Duration::from_secs(1)).await;
    assert_eq!(mdm.posture(&device(SERIAL), wednesday_morning()).await, Err(upstream("time-out")));
    assert_eq!(stage.requests().await.len(), 2);
}

/// Answers every connection with these bytes; then closes it, or sends blanks without end.
async fn raw(bytes: String, endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            while endless && stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    uri
}

async fn posture_at(uri: &str, timeout: Duration) -> Result<Posture, PostureError> {
    let secret = CachedSecret::fixed(TOKEN.into());
    let mdm =
        Mdm::new(settings(Provider::Kandji, uri, timeout), secret, &support::https()).unwrap();
    mdm.posture(&device(SERIAL), wednesday_morning()).await
}

#[tokio::test]
async fn a_truncated_reply_is_an_error_even_if_its_beginning_parses() {
    let body = json!([kandji::listed()]);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    let uri = raw(format!("{head}{body}"), false).await;
    assert_eq!(posture_at(&uri, Duration::from_mins(1)).await, Err(upstream("a malformed reply")));
}

#[tokio::test]
async fn an_endless_slow_reply_times_out() {
    let uri =
        raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[".to_owned(), true).await;
    assert_eq!(posture_at(&uri, Duration::from_millis(300)).await, Err(upstream("time-out")));
}

#[tokio::test]
async fn a_server_that_is_absent_or_does_not_speak_http_is_an_error() {
    let uri = raw("CANARY\r\n\r\n".to_owned(), false).await;
    assert_eq!(
        posture_at(&uri, Duration::from_mins(1)).await,
        Err(upstream("the connection broke"))
    );
    assert_eq!(
        posture_at("http://127.0.0.1:1", Duration::from_mins(1)).await,
        Err(upstream("no connection"))
    );
}

#[tokio::test]
async fn without_a_secret_no_request_is_sent() {
    let stage = jamf::stage().await;
    stage.secrets.reset().await;
    let refusal =
        json!({ "__type": "AccessDeniedException", "Message": "CANARY arn:aws:secretsmanager" });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refusal))
        .mount(&stage.secrets)
        .await;
    let refused = SecretError::Refused("AccessDeniedException".to_owned());
    assert_eq!(stage.posture(Provider::Jamf).await, Err(PostureError::Secret(refused)));
    assert!(stage.requests().await.is_empty());
}

#[tokio::test]
async fn client_credentials_for_a_provider_that_takes_tokens_are_an_error() {
    let stage = Stage::with_secret(CLIENT).await;
    let malformed = SecretError::Malformed("this provider takes a token, not client credentials");
    assert_eq!(stage.posture(Provider::Kandji).await, Err(PostureError::Secret(malformed)));
    assert!(stage.requests().await.is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let refusal = |provider, base| {
        let settings = settings(provider, base, Duration::from_secs(3));
        Mdm::new(settings, CachedSecret::fixed(TOKEN.into()), &support::https()).err()
    };
    assert_eq!(refusal(intune(), "https://graph.microsoft.com"), None);
    assert_eq!(
        refusal(intune(), "https://example.com"),
        Some("the base URL is none of Microsoft Graph's")
    );
    let tenant = Provider::Intune { tenant_id: "../x".to_owned() };
    assert_eq!(
        refusal(tenant, "https://graph.microsoft.com"),
        Some("the tenant is neither a GUID nor a domain name")
    );
    assert_eq!(refusal(Provider::Kandji, "https://accuhive.api.kandji.io/"), None);
}
