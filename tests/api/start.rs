//! What the start prepares, so that the first request does not wait for it.

use crate::support::{Call, FakeSecrets, FakeSts, config, sdk_config, wednesday_morning};
use sentinel_tvm::{App, ClientTokenCheck, Freshness, Invocation, Services};
use serde_json::Value;

const TOKENS: &str = "CANARY-old-000000000000000000000,CANARY-new-000000000000000000000";

#[tokio::test]
async fn the_start_loads_the_client_tokens() {
    let secrets = FakeSecrets::holding(TOKENS).await;
    let config = config(&[("SENTINEL_CLIENT_TOKEN_SECRET_ARN", "client-tokens")]);
    let aws = sdk_config(&secrets.uri()).await;
    let services = Services::open_warm(&config, &aws, wednesday_morning()).await.unwrap();
    secrets.fail(500, "InternalServiceError").await;
    let ClientTokenCheck::Required(tokens) = services.client_tokens else { panic!("required") };
    let served = tokens.value(wednesday_morning()).await.unwrap();
    assert_eq!(served.freshness, Freshness::Fresh);
    assert_eq!(secrets.asked().await, 0, "no request after the start");
}

/// Named sessions are those of the function's own account. Where the invocation does not name the
/// account, STS's answer at the start does.
#[tokio::test]
async fn the_start_learns_the_functions_account_from_sts() {
    let sts = FakeSts::start().await;
    sts.identify("arn:aws:sts::123456789012:assumed-role/sentinel/f", "AROA:f").await;
    let config = config(&[]);
    let aws = sdk_config(&sts.uri()).await;
    let services = Services::open_warm(&config, &aws, wednesday_morning()).await.unwrap();
    assert_eq!(sts.identity_requests().await.len(), 1);
    let (sink, lines) = std::sync::mpsc::channel();
    let app = App::new(
        config,
        services,
        Box::new(move |line: &str| sink.send(line.to_owned()).map_err(std::io::Error::other)),
    );
    let role = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_0123456789abcdef";
    for (function_arn, principal) in [
        ("", format!("{role}/ann@example.com")),
        ("arn:aws:lambda:eu-central-1:210987654321:function:f", role.to_owned()),
    ] {
        let call: Value = Call::by(&format!("{role}/ann@example.com")).into();
        let invocation = Invocation {
            request_id: "0a1b2c3d-4e5f-6789-abcd-ef0123456789",
            now: wednesday_morning(),
            time_left: std::time::Duration::from_mins(1),
            function_arn,
        };
        let response = app.handle(&call.to_string(), invocation).await;
        assert_eq!(response.status_code, 200, "{}", response.body);
        let audit: Value = serde_json::from_str(&lines.recv().unwrap()).unwrap();
        assert_eq!(audit["principal"], principal, "{function_arn:?}");
    }
}
