//! Regression tests for what this function must never do. `cargo test security` runs these, the
//! compile-fail examples of the crate's `security` module and those of the templates' checks that
//! are written in Rust.

use crate::support::{Api, CANARY, Call};
use serde_json::json;

const ALICE: &str = "sentinel-alice@example.com";

/// THREAT: a request that IAM has not authenticated gets credentials, because a context without
/// identity is taken for a default caller.
/// PREVENTION: the caller comes from the IAM identity alone, and without a complete one the answer
/// is 403 before anything else.
#[tokio::test]
async fn no_iam_context_no_credentials() {
    let api = Api::start().await;
    let iam = "/requestContext/authorizer/iam";
    let base = || Call::get("/?profile=development");
    for call in [
        base().without("/requestContext"),
        base().set("/requestContext", ()),
        base().without("/requestContext/authorizer"),
        base().set(
            "/requestContext/authorizer",
            json!({ "lambda": { "userArn": "arn:aws:iam::123456789012:user/alice" } }),
        ),
        base()
            .set("/requestContext/authorizer", json!({ "jwt": { "claims": { "sub": "alice" } } })),
        base().set(iam, ()),
        base().set(iam, json!({})),
        base().set(&format!("{iam}/userArn"), ()),
        base().set(&format!("{iam}/userArn"), ""),
        base().set(&format!("{iam}/userArn"), "*"),
        base().set(&format!("{iam}/userArn"), json!(["arn:aws:iam::123456789012:user/alice"])),
        Call::event("rest-api-user").set("/requestContext/identity/userArn", ()),
        Call::event("rest-api-user")
            .set("/requestContext/identity", json!({ "sourceIp": "198.51.100.7" })),
    ] {
        let answer = api.send(call).await;
        assert_eq!(answer.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()));
    }
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: two identities in one event make the function take the more powerful one.
/// PREVENTION: AWS never sends both, so an event with both has no caller.
#[tokio::test]
async fn an_event_with_two_identities_has_none() {
    let api = Api::start().await;
    let both = Call::get("/?profile=development").set(
        "/requestContext/identity",
        json!({ "userArn": "arn:aws:iam::123456789012:user/admin" }),
    );
    assert_eq!(api.send(both).await.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()));
}

/// THREAT: the API has its own authorizer, which writes a caller's claims to `authorizer`, and they
/// count as an IAM identity.
/// PREVENTION: `authorizer.iam` counts in payload 2.0 only, where no authorizer but IAM writes it.
#[tokio::test]
async fn an_authorizer_of_another_payload_is_no_identity() {
    let claims = json!({ "iam": { "userArn": "arn:aws:iam::123456789012:user/admin" } });
    let call = Call::event("rest-api-user")
        .set("/version", "1.0")
        .set("/requestContext/identity", ())
        .set("/requestContext/authorizer", claims);
    assert_eq!(
        Api::start().await.send(call).await.outcome(),
        (403, "IAM_AUTH_REQUIRED".to_owned())
    );
}

/// THREAT: a caller names another identity, or an address inside the office, in a header, and the
/// function believes it.
/// PREVENTION: no header is read for identity or address.
#[tokio::test]
async fn identity_in_headers_is_ignored() {
    let forged = json!({
        "x-sentinel-caller": "arn:aws:iam::123456789012:user/admin", "x-amzn-iam-arn": "arn:aws:iam::123456789012:user/admin",
        "x-amz-user-arn": "arn:aws:iam::123456789012:root", "x-forwarded-for": "198.51.100.1", "x-real-ip": "198.51.100.1",
        "x-forwarded-user": "admin", "authorization": "Bearer admin", "x-amzn-requestid": "forged", "x-request-id": "forged",
    });
    let api = Api::start().await;
    let answer = api.send(Call::get("/?profile=development").set("/headers", forged.clone())).await;
    assert_eq!(answer.audit["source_identity"], ALICE);
    assert_ne!(answer.header("X-Request-Id"), Some("forged"));
    let outside = Call::get("/?profile=office")
        .set("/headers", forged)
        .set("/requestContext/http/sourceIp", "203.0.113.9");
    assert_eq!(api.send(outside).await.status(), 403);
}

/// THREAT: a caller names another identity, or the role to assume, in the query or the body, and is
/// obeyed.
/// PREVENTION: the three documented parameters are all there is; any other is refused, and a role
/// comes from the catalogue.
#[tokio::test]
async fn identity_and_role_in_parameters_are_refused() {
    let api = Api::start().await;
    let admin = "arn:aws:iam::222222222222:role/admin";
    for name in [
        "role_arn",
        "RoleArn",
        "role",
        "userArn",
        "caller",
        "principal",
        "source_identity",
        "policy",
        "tags",
    ] {
        let query = api.send(Call::get(&format!("/?profile=development&{name}={admin}"))).await;
        assert_eq!(query.outcome(), (400, "INVALID_REQUEST".to_owned()), "{name}");
        let body = api
            .send(Call::post(json!({ "profile": "development", name: admin }).to_string()))
            .await;
        assert_eq!(body.outcome(), (400, "INVALID_REQUEST".to_owned()), "{name}");
    }
    let as_profile = api.send(Call::get(&format!("/?profile={admin}"))).await;
    assert_eq!(as_profile.outcome(), (400, "INVALID_PROFILE".to_owned()));
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: a caller who may assume a shared role names the session after another person, to get
/// that person's profiles and to appear as that person in the logs; or gives each session a new
/// name, to get a new quota.
/// PREVENTION: session names identify people only for listed roles, whose session names an identity
/// provider sets. Any other session counts as its role.
#[tokio::test]
async fn session_names_of_unlisted_roles_are_ignored() {
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "4")]).await;
    let session = |name: &str| format!("arn:aws:sts::123456789012:assumed-role/ci-runner/{name}");
    let alice_only = api
        .send(Call::by(&session("alice@example.com")).target("GET", "/?profile=alice-only"))
        .await;
    assert_eq!(alice_only.status(), 403);
    for name in ["alice@example.com", "AWSReservedSSO_Developer", "other"] {
        let answer = api.send(Call::by(&session(name))).await;
        assert_eq!(answer.audit["source_identity"], "sentinel-ci-runner=ef713d7af44d1c0d");
        assert_eq!(answer.audit["session_name"], "ci-runner-0a1b2c3d");
    }
    assert_eq!(api.send(Call::by(&session("a-fresh-name"))).await.status(), 429);
    let alice = Call::event("function-url-identity-center").target("GET", "/?profile=alice-only");
    assert_eq!(api.send(alice).await.status(), 200);
}

/// THREAT: two callers share a SourceIdentity, so that the log blames one for what the other did.
/// PREVENTION: a name too long for STS is cut and ends in a digest of the whole principal, and no
/// real name can end like that.
#[tokio::test]
async fn long_names_do_not_share_a_source_identity() {
    let api = Api::start().await;
    let user = |account: &str, name: &str| Call::by(&format!("arn:aws:iam::{account}:user/{name}"));
    let common = "x".repeat(63);
    let mut seen = std::collections::BTreeSet::new();
    for call in [
        user("123456789012", &format!("{common}a")),
        user("123456789012", &format!("{common}b")),
        user("210987654321", &format!("{common}a")),
    ] {
        let answer = api.send(call).await;
        let identity = answer.audit["source_identity"].as_str().unwrap().to_owned();
        assert!(identity.len() <= 64 && answer.audit["session_name"].as_str().unwrap().len() <= 64);
        assert!(seen.insert(identity));
    }
    let impostor = seen.first().unwrap().strip_prefix("sentinel-").unwrap();
    let answer = api.send(user("123456789012", impostor)).await;
    assert!(!seen.contains(answer.audit["source_identity"].as_str().unwrap()));
}

/// THREAT: an error's body or headers repeat AWS's messages, ARNs or the caller's own input.
/// PREVENTION: public messages are fixed text; only the error code of a service's reply is kept, in
/// the log.
#[tokio::test]
async fn nothing_internal_leaks_on_any_failure() {
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "0")]).await;
    let attempts = [
        "/?profile=CANARY%3Cscript%3E",
        "/?profile=CANARY",
        "/CANARY",
        "/?profile=development&duration=CANARY",
        "/?profile=development&device_id=CANARY_",
        "/?CANARY=1",
        "/?profile=nobody",
    ];
    for target in attempts {
        let answer = api.send(Call::get(target)).await;
        assert!((400..500).contains(&answer.status()), "{target}");
        assert!(
            !answer.shown().contains(CANARY) && !answer.shown().contains("arn:"),
            "{}",
            answer.shown()
        );
    }
    let body = api.send(Call::post(r#"{"CANARY": "#)).await;
    assert!(!body.shown().contains(CANARY));
    for (status, code) in [
        (403, "AccessDenied"),
        (400, "ValidationError"),
        (400, "CANARY code <x>"),
        (500, "InternalFailure"),
    ] {
        api.sts.refuse(status, code).await;
        let answer = api.send(Call::get("/?profile=development")).await;
        assert!(answer.status() >= 500);
        assert!(
            !answer.shown().contains(CANARY) && !answer.shown().contains("arn:"),
            "{}",
            answer.shown()
        );
        assert!(!answer.audit.to_string().contains(CANARY), "{}", answer.audit);
    }
}

/// THREAT: issued secrets, or the function's own, are in the audit line.
/// PREVENTION: the record takes the access key id and the expiry from issued credentials, and
/// nothing else.
#[tokio::test]
async fn audit_lines_hold_no_secret() {
    let answer = Api::start().await.send(Call::get("/?profile=development")).await;
    assert_eq!(answer.audit["issued_access_key_id"], "ASIAISSUEDTOCALLER00");
    assert!(answer.response.body.contains("CANARY-issued-secret"), "the caller does get it");
    assert!(!answer.audit.to_string().contains(CANARY));
    assert!(!format!("{:?}", answer.response).contains(CANARY));
}

/// THREAT: a client writes line feeds or endless text into what is logged, to forge audit lines or
/// flood the log.
/// PREVENTION: the line is one JSON object, and what clients choose is cut at 256 characters.
#[tokio::test]
async fn audit_lines_cannot_be_forged_or_flooded() {
    let forged = "x\n{\"type\":\"audit\",\"code\":\"OK\"}\r\n\u{2028}";
    let long = "\u{1f511}".repeat(10_000);
    for text in [forged, &long] {
        let call = Call::get("/").set("/rawPath", text).set("/requestContext/http/userAgent", text);
        let answer = Api::start().await.send(call).await;
        assert_eq!(answer.audit["code"], "NOT_FOUND");
        assert!(answer.audit["path"].as_str().unwrap().chars().count() <= 256);
        assert!(answer.audit["user_agent"].as_str().unwrap().chars().count() <= 256);
    }
}

/// THREAT: a forbid that fails to evaluate is skipped, as Cedar does by default, and the permit
/// beside it wins.
/// PREVENTION: any policy that fails to evaluate refuses the request.
#[tokio::test]
async fn a_rule_that_fails_to_evaluate_refuses_the_request() {
    let call = Call::get("/?profile=office").without("/requestContext/http/sourceIp");
    let answer = Api::start().await.send(call).await;
    assert_eq!(answer.outcome(), (403, "POLICY_DENY".to_owned()));
}

/// THREAT: a name that occurs twice makes two readers of the event disagree: about who calls, or
/// about which header counts.
/// PREVENTION: such an event has no members, and so no identity.
#[tokio::test]
async fn security_an_event_with_a_repeated_name_is_refused() {
    let api = Api::start().await;
    let event = serde_json::Value::from(Call::event("function-url-identity-center")).to_string();
    for (member, twice) in [
        ("\"iam\":{", "\"iam\":{\"userArn\":\"arn:aws:iam::123456789012:user/mallory\","),
        ("\"requestContext\":{", "\"requestContext\":{\"http\":{},"),
        ("\"headers\":{", "\"headers\":{\"host\":\"x\","),
        ("\"version\":", "\"version\":\"1.0\",\"version\":"),
    ] {
        let event = event.replacen(member, twice, 1);
        assert_eq!(api.send_text(&event).await.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()));
    }
}
