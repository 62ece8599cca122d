//! Quotas from outside: who is limited, by how much, and what the reply says.

use crate::support::{Answer, Api, Call, Dynamo};

const FIVE: [(&str, &str); 1] = [("SENTINEL_RATE_LIMIT_REQUESTS", "5")];

fn alice() -> Call {
    Call::get("/?profile=development")
}

#[tokio::test]
async fn five_requests_pass_and_the_sixth_passes_after_its_retry_after() {
    let mut api = Api::with(&FIVE).await;
    for left in (0..5).rev() {
        let answer = api.send(alice()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("RateLimit-Policy"), Some("\"vend\";q=5;w=60"));
        assert_eq!(
            answer.header("RateLimit"),
            Some(format!("\"vend\";r={left};t={}", (5 - left) * 12).as_str())
        );
    }
    let refused = api.send(alice()).await;
    assert_eq!(refused.outcome(), (429, "RATE_LIMITED".to_owned()));
    assert_eq!(refused.header("Retry-After"), Some("12"));
    assert_eq!(refused.header("RateLimit"), Some("\"vend\";r=0;t=60"));
    api.wait(11);
    assert_eq!(api.send(alice()).await.header("Retry-After"), Some("1"));
    api.wait(1);
    assert_eq!(api.send(alice()).await.status(), 200);
    assert_eq!(api.send(alice()).await.status(), 429);
    assert_eq!(api.sts.requests().await.len(), 6, "a refused request does no later step");
}

#[tokio::test]
async fn principals_and_tiers_have_budgets_of_their_own() {
    let api = Api::with(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1"),
        ("SENTINEL_RATE_LIMIT_READ_REQUESTS", "2"),
    ])
    .await;
    assert_eq!(api.send(alice()).await.status(), 200);
    assert_eq!(api.send(alice()).await.status(), 429);
    assert_eq!(api.send(Call::by("arn:aws:iam::123456789012:user/bob")).await.status(), 200);
    assert_eq!(api.send(Call::get("/v1/profiles")).await.status(), 200);
    assert_eq!(
        api.send(Call::get("/v1/no-such-path")).await.status(),
        404,
        "an unknown path is charged as a read"
    );
    let refused = api.send(Call::get("/v1/profiles")).await;
    assert_eq!(refused.header("RateLimit-Policy"), Some("\"read\";q=2;w=60"));
    assert_eq!(refused.status(), 429);
}

/// The other tiers are exhausted, and the table is gone: health replies, from the instance alone.
#[tokio::test]
async fn health_stays_answerable_and_is_bounded_by_each_instance() {
    let dynamo = Dynamo::start().await;
    let one = [
        ("SENTINEL_RATE_LIMIT_REQUESTS", "1"),
        ("SENTINEL_RATE_LIMIT_EXPLAIN_REQUESTS", "1"),
        ("SENTINEL_RATE_LIMIT_READ_REQUESTS", "1"),
        ("SENTINEL_RATE_LIMIT_FAILURE_MODE", "closed"),
    ];
    let mut api = Api::with_table(&dynamo, &one).await;
    for target in ["/?profile=development", "/v1/explain?profile=development", "/v1/profiles"] {
        assert_eq!(api.send(Call::get(target)).await.status(), 200, "{target}");
        assert_eq!(api.send(Call::get(target)).await.status(), 429, "{target}");
    }
    dynamo.requests();
    let healthy = |answer: &Answer| answer.body()["storage"]["healthy"].clone();
    let well = api.send(Call::get("/v1/health")).await;
    assert_eq!((well.status(), healthy(&well)), (200, true.into()));
    assert_eq!(well.header("RateLimit-Policy"), Some("\"health\";q=60;w=60"));
    assert_eq!(well.header("RateLimit"), Some("\"health\";r=59;t=1"));
    assert_eq!(well.audit["rate_limit"]["decided_by"], "memory");
    assert!(dynamo.requests().is_empty(), "it asks nothing of the table");
    dynamo.fail(500, "InternalServerError");
    let bob = || Call::by("arn:aws:iam::123456789012:user/bob");
    assert_eq!(api.send(bob()).await.status(), 503);
    let unwell = api.send(bob().target("GET", "/v1/health")).await;
    assert_eq!((unwell.status(), healthy(&unwell)), (200, false.into()));
    for _ in 0..59 {
        assert_eq!(api.send(Call::get("/v1/health")).await.status(), 200);
    }
    let refused = api.send(Call::get("/v1/health")).await;
    assert_eq!((refused.status(), refused.header("Retry-After")), (429, Some("1")));
    api.wait(1);
    assert_eq!(api.send(Call::get("/v1/health")).await.status(), 200);
}

#[tokio::test]
async fn health_names_the_quota_of_each_path() {
    let dynamo = Dynamo::start().await;
    let shown = async |variables: &[(&str, &str)]| {
        let answer = Api::with_table(&dynamo, variables).await.send(Call::get("/v1/health")).await;
        answer.body()["rate_limit"].clone()
    };
    let plain = shown(&[]).await;
    let paths = serde_json::json!({
        "/v1/credentials": "vend", "/v1/explain": "explain", "/v1/health": "health",
        "/v1/profiles": "read", "*": "read",
    });
    assert_eq!((&plain["paths"], &plain["vend_day"]), (&paths, &"off".into()));
    let more =
        shown(&[("SENTINEL_GRANTS_TABLE", "grants"), ("SENTINEL_RATE_LIMIT_DAY_REQUESTS", "500")])
            .await;
    assert_eq!(more["paths"]["POST /v1/requests"], "explain");
    assert_eq!(more["paths"]["/v1/break-glass"], "vend");
    assert_eq!(more["paths"]["GET /v1/requests"], "explain");
    assert_eq!(more["paths"]["/v1/requests/ID/approve"], "vend");
    let day = serde_json::json!({ "requests": 500, "window": 86_400, "burst": 500 });
    assert_eq!(more["vend_day"], day);
}

#[tokio::test]
async fn a_limit_for_the_day_is_a_second_policy() {
    let mut api = Api::with(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "2"),
        ("SENTINEL_RATE_LIMIT_DAY_REQUESTS", "3"),
    ])
    .await;
    let first = api.send(alice()).await;
    assert_eq!(
        first.header("RateLimit-Policy"),
        Some("\"vend\";q=2;w=60, \"vend-day\";q=3;w=86400")
    );
    assert_eq!(first.header("RateLimit"), Some("\"vend\";r=1;t=30, \"vend-day\";r=2;t=28800"));
    api.wait(60);
    for _ in 0..2 {
        assert_eq!(api.send(alice()).await.status(), 200);
    }
    api.wait(60);
    let refused = api.send(alice()).await;
    assert_eq!(refused.outcome(), (429, "RATE_LIMITED".to_owned()));
    assert_eq!(refused.header("Retry-After"), Some("28680"));
    assert_eq!(refused.header("RateLimit"), Some("\"vend\";r=2;t=0, \"vend-day\";r=0;t=86280"));
    let limit = &refused.audit["rate_limit"];
    assert_eq!((&limit["remaining"], &limit["day_remaining"]), (&2.into(), &0.into()));
    api.wait(28_680);
    assert_eq!(api.send(alice()).await.status(), 200);
}

#[tokio::test]
async fn burst_and_window_are_settings() {
    let mut api = Api::with(&[
        ("SENTINEL_RATE_LIMIT_REQUESTS", "10"),
        ("SENTINEL_RATE_LIMIT_WINDOW", "10"),
        ("SENTINEL_RATE_LIMIT_BURST", "1"),
    ])
    .await;
    assert_eq!(api.send(alice()).await.status(), 200);
    assert_eq!(api.send(alice()).await.header("Retry-After"), Some("1"));
    api.wait(1);
    assert_eq!(api.send(alice()).await.status(), 200);
}

#[tokio::test]
async fn zero_turns_limiting_off() {
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "0")]).await;
    for _ in 0..200 {
        let answer = api.send(Call::get("/?profile=nobody")).await;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.header("RateLimit"), None);
        assert_eq!(answer.audit["rate_limit"]["decided_by"], "off");
    }
}

#[tokio::test]
async fn refused_and_malformed_requests_count_too() {
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "2")]).await;
    assert_eq!(api.send(Call::get("/?profile=nobody")).await.status(), 403);
    let malformed = api.send(Call::get("/")).await;
    assert_eq!(malformed.header("RateLimit"), Some("\"vend\";r=0;t=60"));
    let throttled = api.send(alice()).await;
    assert_eq!(throttled.status(), 429);
    assert_eq!(
        throttled.audit["rate_limit"],
        serde_json::json!({
            "decided_by": "memory", "writes": 0, "tier": "vend", "remaining": 0, "retry_after": 30,
        })
    );
}

#[tokio::test]
async fn without_an_identity_nothing_is_charged() {
    let api = Api::with(&FIVE).await;
    let answer = api.send(alice().set("/requestContext/authorizer", ())).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.audit.get("rate_limit"), None);
    assert_eq!(answer.header("RateLimit"), None);
}

/// THREAT: a caller must be cut off at once, and learns from the refusal why, or until when.
/// PREVENTION: the table's block refuses every path but health before any later step. The reply has
/// fixed words; the audit line has the end. Health asks nothing of the table: it replies, and names
/// nothing that a caller could use.
#[tokio::test]
async fn security_a_blocked_caller_is_refused_on_every_path_and_reaches_no_later_step() {
    let dynamo = Dynamo::start().await;
    let alice = "arn:aws:iam::123456789012:user/alice";
    let api = Api::with_table(&dynamo, &[]).await;
    assert_eq!(api.send(Call::by(alice)).await.status(), 200);
    let vended = api.sts.requests().await.len();
    for tier in ["vend", "explain", "read"] {
        dynamo.block(&format!("RL#{tier}#{alice}"), 1_772_623_800_000_000);
    }
    for path in ["/", "/v1/credentials", "/v1/profiles", "/v1/explain", "/nowhere"] {
        let target = format!("{path}?profile=development");
        let answer = api.send(Call::by(alice).target("GET", &target)).await;
        assert_eq!(answer.outcome(), (403, "CALLER_BLOCKED".to_owned()), "{path}");
        assert_eq!(answer.header("RateLimit"), None);
        assert_eq!(answer.header("Retry-After"), None);
        let message = "Your access is blocked. Tell your administrators the RequestId.";
        assert_eq!(answer.body()["Message"], message);
        assert_eq!(answer.audit["rate_limit"]["blocked_until"], "2026-03-04T11:30:00Z");
        assert!(answer.audit.get("rules").is_none(), "the policy is not asked");
    }
    assert_eq!(api.sts.requests().await.len(), vended);
    assert_eq!(api.send(Call::by(alice).target("GET", "/v1/health")).await.status(), 200);
    assert_eq!(api.send(Call::by("arn:aws:iam::123456789012:user/bob")).await.status(), 200);
}
