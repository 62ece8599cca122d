//! How the function identifies callers, and what it sends to STS for them.

use crate::support::{Api, Call, EVENTS, audit};

#[tokio::test]
async fn each_caller_has_its_own_audit_line_and_session() {
    for (name, _) in EVENTS {
        let api = Api::start().await;
        let answer = api.send(Call::event(name)).await;
        assert_eq!(answer.outcome(), (200, "OK".to_owned()), "{name}");
        insta::assert_json_snapshot!(format!("{name}-audit"), audit::stable(&answer.audit));
        insta::assert_json_snapshot!(format!("{name}-assume-role"), api.sts.requests().await);
    }
}

#[tokio::test]
async fn a_minimal_event_is_enough() {
    let event = serde_json::json!({
        "rawPath": "/v1/credentials", "rawQueryString": "profile=development",
        "requestContext": {
            "http": { "method": "GET" },
            "authorizer": { "iam": { "userArn": "arn:aws:iam::123456789012:user/alice" } },
        },
    });
    assert_eq!(Api::start().await.send(event).await.outcome(), (200, "OK".to_owned()));
}

#[tokio::test]
async fn optional_fields_may_be_null_or_absent() {
    for member in ["principalOrgId", "accessKey", "callerId", "cognitoIdentity", "userId"] {
        let pointer = format!("/requestContext/authorizer/iam/{member}");
        let api = Api::start().await;
        assert_eq!(
            api.send(Call::event("function-url-user").set(&pointer, ())).await.status(),
            200,
            "null {member}"
        );
        assert_eq!(
            api.send(Call::event("function-url-user").without(&pointer)).await.status(),
            200,
            "no {member}"
        );
    }
}

#[tokio::test]
async fn session_names_identify_callers_for_roles_that_the_operator_lists() {
    let api = Api::with(&[("SENTINEL_NAMED_SESSION_ROLES", "Okta-*")]).await;
    let okta =
        api.send(Call::by("arn:aws:sts::123456789012:assumed-role/Okta-Dev/bob@example.com")).await;
    assert_eq!(okta.audit["source_identity"], "sentinel-bob@example.com");
    let identity_center = api.send(Call::event("function-url-identity-center")).await;
    assert_eq!(
        identity_center.audit["source_identity"],
        "sentinel-AWSReservedSSO_Developer_0123456789abcdef"
    );
}

#[tokio::test]
async fn malformed_arns_are_refused_with_an_audit_line() {
    let api = Api::start().await;
    for arn in [
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::12345678901:user/alice",
        "arn:aws:iam::123456789012:role/ci",
        "arn:aws:sts::123456789012:assumed-role/ci",
        "arn:aws:sts::123456789012:assumed-role/ci/a/b",
        "arn:aws-iso:iam::123456789012:user/alice",
        "anonymous",
    ] {
        let answer = api.send(Call::by(arn)).await;
        assert_eq!(answer.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()), "{arn}");
        assert_eq!(answer.audit["caller_arn"], arn);
    }
    assert!(api.sts.requests().await.is_empty());
}
