use serde_json::json;
use wiremock::matchers::{body_json, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

async fn invoke(answer: ResponseTemplate) -> Result<Response<Full<Bytes>>, FunctionError> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header(REQUEST_ID, "id"))
        .and(body_json(json!({ "version": "2.0" })))
        .respond_with(answer)
        .mount(&server)
        .await;
    let function = Function::new(server.uri().parse().unwrap(), StartLog::new("no-log".into()));
    function.invoke(&json!({ "version": "2.0" }), "id").await
}

#[tokio::test]
async fn a_proxy_response_becomes_http() {
    for (body, is_base64) in [("{}", false), ("e30=", true)] {
        let answer = ResponseTemplate::new(200).set_body_json(json!({
            "statusCode": 429,
            "headers": { "retry-after": "7" },
            "body": body,
            "isBase64Encoded": is_base64,
        }));
        let response = invoke(answer).await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()["retry-after"], "7");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{}");
    }
}

#[tokio::test]
async fn a_function_that_fails_or_answers_nonsense_is_an_error() {
    let failed = invoke(ResponseTemplate::new(500).set_body_string("panicked")).await;
    assert!(matches!(failed, Err(FunctionError::Failed(StatusCode::INTERNAL_SERVER_ERROR, _))));

    let nonsense = invoke(ResponseTemplate::new(200).set_body_string("hello")).await;
    assert!(matches!(nonsense, Err(FunctionError::NotAResponse(_))));

    let no_status =
        invoke(ResponseTemplate::new(200).set_body_json(json!({ "statusCode": 7 }))).await;
    assert!(matches!(no_status, Err(FunctionError::NotHttp(_))));
}

#[tokio::test]
async fn a_function_that_is_not_there_is_an_error() {
    let start = StartLog::new("no-log".into());
    let function = Function::new("http://127.0.0.1:1/".parse().unwrap(), start);
    let answer = function.invoke(&json!({}), "id").await;
    assert!(matches!(answer, Err(FunctionError::Unreachable(_))));
}

#[tokio::test]
async fn a_function_that_does_not_start_is_reported_at_once_and_not_invoked() {
    let server = MockServer::start().await;
    let log = std::env::temp_dir().join(format!("local-url-{:032x}.log", fastrand::u128(..)));
    std::fs::write(&log, "{\"message\":\"the start failed\",\"problems\":\"bad policy\"}\n")
        .unwrap();
    let function = Function::new(server.uri().parse().unwrap(), StartLog::new(log.clone()));

    let answer = function.invoke(&json!({}), "id").await;

    std::fs::remove_file(log).unwrap();
    let Err(error) = answer else { panic!("it answered") };
    assert_eq!(error.to_string(), "the function does not start: bad policy");
    assert!(server.received_requests().await.unwrap().is_empty());
}
