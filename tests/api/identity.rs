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
        "sentinel-AWSReservedSSO_Developer_0123456789abc=757171d44babf5fd"
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
        "arn:aws-moon:iam::123456789012:user/alice",
        "anonymous",
    ] {
        let answer = api.send(Call::by(arn)).await;
        assert_eq!(answer.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()), "{arn}");
        assert_eq!(answer.audit["caller_arn"], arn);
    }
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: somebody names a role like Identity Center's in an account of their own, and its
/// sessions after other people: each made-up name brings a fresh quota, and alice's name brings her
/// SourceIdentity.
/// PREVENTION: a pattern counts for the function's own account, or for the account that it names.
#[tokio::test]
async fn security_people_of_foreign_accounts_are_roles() {
    let session = |name: usize| {
        format!("arn:aws:sts::210987654321:assumed-role/AWSReservedSSO_x/user{name}@example.com")
    };
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "3")]).await;
    let mut admitted = 0;
    for name in 0..200 {
        let answer = api.send(Call::by(&session(name))).await;
        admitted += usize::from(answer.status() != 429);
    }
    assert_eq!(admitted, 3, "one quota for all of them");
    let trusted =
        [("SENTINEL_NAMED_SESSION_ROLES", "AWSReservedSSO_*,210987654321:AWSReservedSSO_*")];
    let trusted = Api::with(&trusted).await;
    let person = trusted.send(Call::by(&session(1))).await;
    assert_eq!(person.audit["principal"], session(1), "the operator names the account");
}

/// THREAT: two principals of one short name share a SourceIdentity, and CloudTrail cannot tell who
/// acted.
/// PREVENTION: all names but those that never meet are followed by a digest of the principal.
#[tokio::test]
async fn security_principals_of_one_name_have_a_source_identity_each() {
    let api = Api::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for arn in [
        "arn:aws:iam::123456789012:user/alice",
        "arn:aws:sts::123456789012:assumed-role/alice/session",
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_x/alice",
        "arn:aws:iam::210987654321:user/alice",
        "arn:aws:sts::210987654321:assumed-role/alice/session",
        "arn:aws:iam::123456789012:user/alice@example.com",
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_x/alice@example.com",
        "arn:aws:sts::123456789012:assumed-role/alice@example.com/session",
        "arn:aws:sts::210987654321:assumed-role/AWSReservedSSO_x/alice@example.com",
    ] {
        let audit = api.send(Call::by(arn)).await.audit;
        let identity = audit["source_identity"].as_str().unwrap().to_owned();
        assert!(identity.starts_with("sentinel-"), "{identity}");
        assert!(seen.insert(identity.clone()), "{identity} of {arn}");
    }
}

#[tokio::test]
async fn callers_of_every_partition_are_known() {
    let api = Api::start().await;
    for partition in [
        "aws",
        "aws-cn",
        "aws-eusc",
        "aws-iso",
        "aws-iso-b",
        "aws-iso-e",
        "aws-iso-f",
        "aws-us-gov",
    ] {
        let arn = format!("arn:{partition}:iam::123456789012:user/alice");
        assert_eq!(api.send(Call::by(&arn)).await.status(), 200, "{partition}");
    }
}

/// THREAT: a role is deleted and created again under the same name by somebody else.
/// PREVENTION: policies can name the unique id, which is another one then.
#[tokio::test]
async fn security_the_unique_id_is_known_to_policies_and_the_audit() {
    let api = Api::start().await;
    let audit = api.send(Call::event("function-url-user")).await.audit;
    assert_eq!(audit["unique_id"], "AIDACKCEVSQ6C2EXAMPLE");
    let with_id = |id: &str| {
        Call::event("function-url-user")
            .set("/requestContext/authorizer/iam/userId", id)
            .target("GET", "/?profile=by-unique-id")
    };
    assert_eq!(api.send(with_id("AIDAONLYTHISUSER00000")).await.status(), 200);
    assert_eq!(api.send(with_id("AIDAANOTHERUSER000000")).await.status(), 403);
    for odd in ["", "123456789012", "123456789012:bob", "AIDA", "aidaonlythisuser00000"] {
        let answer = api.send(with_id(odd)).await;
        assert_eq!((answer.status(), answer.audit.get("unique_id")), (403, None), "{odd}");
    }
}
