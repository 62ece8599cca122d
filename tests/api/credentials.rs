//! What a success looks like, and how long it lasts.

use crate::support::{Answer, Api, Call};

async fn vend(query: &str) -> (Answer, String) {
    let api = Api::start().await;
    let answer = api.send(Call::get(&format!("/v1/credentials?{query}"))).await;
    assert_eq!(answer.status(), 200, "{query}");
    let asked = api.sts.requests().await[0]["DurationSeconds"].clone();
    (answer, asked)
}

#[tokio::test]
async fn the_duration_is_clamped_and_the_reply_says_by_what() {
    for (query, granted, clamped_by) in [
        ("profile=development", "900", None),
        ("profile=development&duration=3600", "3600", None),
        ("profile=development&duration=3601", "3600", Some("role-chaining")),
        ("profile=development&duration=129600", "3600", Some("role-chaining")),
        ("profile=capped&duration=1200", "1200", None),
        ("profile=capped&duration=1201", "1200", Some("profile")),
        ("profile=capped&duration=43200", "1200", Some("profile")),
    ] {
        let (answer, asked) = vend(query).await;
        assert_eq!(asked, granted, "{query}");
        assert_eq!(answer.header("X-Sentinel-Granted-Seconds"), Some(granted), "{query}");
        assert_eq!(answer.header("X-Sentinel-Clamped-By"), clamped_by, "{query}");
    }
}

#[tokio::test]
async fn the_default_duration_is_a_setting() {
    let api = Api::with(&[("SENTINEL_DEFAULT_DURATION", "1800")]).await;
    assert_eq!(
        api.send(Call::get("/?profile=development")).await.header("X-Sentinel-Granted-Seconds"),
        Some("1800")
    );
    let capped = api.send(Call::get("/?profile=capped")).await;
    assert_eq!(capped.header("X-Sentinel-Clamped-By"), Some("profile"));
}

#[tokio::test]
async fn a_posted_duration_may_be_a_number_or_text() {
    for body in [
        r#"{"profile":"development","duration":1800}"#,
        r#" {"duration":"1800","profile":"development"}"#,
    ] {
        let answer = Api::start().await.send(Call::post(body)).await;
        assert_eq!(answer.header("X-Sentinel-Granted-Seconds"), Some("1800"), "{body}");
    }
}

#[tokio::test]
async fn sts_refusals_and_outages_have_different_codes() {
    for (status, sts_code, expected, detail) in [
        (
            403,
            "AccessDenied",
            (502, "CREDENTIAL_ERROR"),
            "AccessDenied: the role must exist, and its trust policy must allow",
        ),
        (403, "ExpiredTokenException", (502, "CREDENTIAL_ERROR"), "ExpiredTokenException"),
        (400, "PackedPolicyTooLarge", (502, "CREDENTIAL_ERROR"), "PackedPolicyTooLarge"),
        (400, "Throttling", (503, "SERVICE_UNAVAILABLE"), "Throttling"),
        (500, "InternalFailure", (503, "SERVICE_UNAVAILABLE"), "InternalFailure"),
        (503, "ServiceUnavailable", (503, "SERVICE_UNAVAILABLE"), "ServiceUnavailable"),
    ] {
        let api = Api::start().await;
        api.sts.refuse(status, sts_code).await;
        let answer = api.send(Call::get("/?profile=development")).await;
        assert_eq!(answer.outcome(), (expected.0, expected.1.to_owned()), "{sts_code}");
        let logged = answer.audit["detail"].as_str().unwrap();
        assert!(logged.contains(detail), "{logged}");
    }
}

#[tokio::test]
async fn the_permissions_that_sts_needs_are_in_the_log_only() {
    let api = Api::start().await;
    api.sts.refuse(403, "AccessDenied").await;
    let answer = api.send(Call::get("/?profile=development")).await;
    for action in ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"] {
        assert!(answer.audit["detail"].as_str().unwrap().contains(action));
        assert!(!answer.response.body.contains(action));
    }
}

#[tokio::test]
async fn a_malformed_or_missing_sts_reply_is_unavailable() {
    let api = Api::start().await;
    for body in [
        "",
        "<html>",
        "{}",
        "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>",
    ] {
        api.sts.reply(200, body).await;
        let answer = api.send(Call::get("/?profile=development")).await;
        assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_hanging_sts_times_out() {
    let api = Api::start().await;
    api.sts.hang().await;
    let answer = api.send(Call::get("/?profile=development")).await;
    assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    assert_eq!(answer.audit["detail"], "STS is out of reach: time-out");
}

#[tokio::test]
async fn a_request_near_lambdas_time_out_is_aborted_in_time_for_its_audit_line() {
    let mut api = Api::start().await;
    api.sts.hang().await;
    api.time_left = std::time::Duration::from_secs(2);
    let answer = api.send(Call::get("/?profile=development")).await;
    assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    assert_eq!(
        answer.audit["source_identity"], "sentinel-alice@example.com",
        "the audit line has what the function sent to STS"
    );
}
