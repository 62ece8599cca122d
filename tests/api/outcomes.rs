//! Every outcome for every event shape. The reply must not depend on the shape of the event.

use crate::support::{Answer, Api, Call, EVENTS};

/// Sends the same request in every event shape, checks that all replies agree, and gives the reply.
async fn in_every_shape(api: &Api, change: impl Fn(Call) -> Call) -> Answer {
    let mut first: Option<Answer> = None;
    for (name, _) in EVENTS {
        let answer = api.send(change(Call::event(name))).await;
        if let Some(first) = &first {
            assert_eq!(answer.shown(), first.shown(), "{name}");
        }
        first.get_or_insert(answer);
    }
    first.unwrap()
}

/// Unlimited, so that the quota's headers do not count down from shape to shape.
async fn unlimited() -> Api {
    Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "0"), ("SENTINEL_RATE_LIMIT_READ_REQUESTS", "0")])
        .await
}

macro_rules! outcome {
    ($name:ident, $method:literal, $target:literal) => {
        outcome!($name, |call| call.target($method, $target));
    };
    ($name:ident, $change:expr) => {
        #[tokio::test]
        async fn $name() {
            insta::assert_snapshot!(in_every_shape(&unlimited().await, $change).await.shown());
        }
    };
}

outcome!(granted, "GET", "/v1/credentials?profile=development");
outcome!(granted_at_the_root, "GET", "/?profile=development");
outcome!(granted_and_clamped, "GET", "/v1/credentials?profile=capped&duration=3600");
outcome!(granted_to_a_post, |call: Call| call
    .target("POST", "/v1/credentials")
    .set("/body", r#"{"profile":"development","duration":900}"#));
outcome!(granted_to_a_post_in_base64, |call: Call| call
    .target("POST", "/")
    .set("/body", "eyJwcm9maWxlIjogImRldmVsb3BtZW50In0=")
    .set("/isBase64Encoded", true));
outcome!(denied, "GET", "/v1/credentials?profile=nobody");
outcome!(denied_for_an_unknown_profile, "GET", "/v1/credentials?profile=no-such-profile");
outcome!(missing_profile, "GET", "/v1/credentials");
outcome!(invalid_profile, "GET", "/v1/credentials?profile=a%20b");
outcome!(invalid_duration, "GET", "/v1/credentials?profile=development&duration=1e3");
outcome!(invalid_device, "GET", "/v1/credentials?profile=development&device_id=%27");
outcome!(invalid_request, "GET", "/v1/credentials?profile=development&profile=nobody");
outcome!(too_large, |call: Call| call
    .target("POST", "/v1/credentials")
    .set("/body", "x".repeat(8 * 1024 + 1)));
outcome!(not_found, "GET", "/v1/credential");
outcome!(method_not_allowed, "DELETE", "/v1/credentials");
outcome!(method_not_allowed_on_a_read, "POST", "/v1/profiles");
outcome!(no_iam_identity, |call: Call| call
    .set("/requestContext/authorizer", ())
    .set("/requestContext/identity", ()));

#[tokio::test]
async fn credential_error() {
    let api = unlimited().await;
    api.sts.refuse(403, "AccessDenied").await;
    insta::assert_snapshot!(in_every_shape(&api, |call| call).await.shown());
}

#[tokio::test]
async fn service_unavailable() {
    let api = unlimited().await;
    api.sts.refuse(500, "InternalFailure").await;
    insta::assert_snapshot!(in_every_shape(&api, |call| call).await.shown());
}

#[tokio::test]
async fn rate_limited() {
    for (name, _) in EVENTS {
        let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "1")]).await;
        assert_eq!(api.send(Call::event(name)).await.status(), 200, "{name}");
        insta::assert_snapshot!("rate_limited", api.send(Call::event(name)).await.shown());
    }
}

/// Health is always counted, and in every shape by another instance.
#[tokio::test]
async fn health() {
    let mut shown = Vec::new();
    for (name, _) in EVENTS {
        let answer = unlimited().await.send(Call::event(name).target("GET", "/v1/health")).await;
        shown.push(answer.shown());
    }
    shown.dedup();
    assert_eq!(shown.len(), 1, "{shown:?}");
    insta::assert_snapshot!(shown[0]);
}
