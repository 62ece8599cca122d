//! Decisions as callers and operators see them.

use crate::support::parameters::FakeParameters;
use crate::support::{Answer, Api, Call};
use serde_json::json;
use time::Duration;

fn reasons(answer: &Answer) -> String {
    assert_eq!(answer.outcome(), (403, "POLICY_DENY".to_owned()));
    answer.body()["Message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn working_hours_open_and_close_on_the_minute() {
    let mut api = Api::start().await;
    let hours = || Call::get("/?profile=hours");
    let midnight = api.now.truncate_to_day();
    for (minute, open) in [(479, false), (480, true), (1_079, true), (1_080, false)] {
        api.now = midnight + Duration::minutes(minute);
        assert_eq!(api.send(hours()).await.status() == 200, open, "minute {minute}");
    }
}

#[tokio::test]
async fn the_reason_of_a_forbid_reaches_the_caller_and_its_id_only_the_log() {
    let mut api = Api::start().await;
    api.now += Duration::days(3) + Duration::hours(10);
    let answer = api.send(Call::get("/?profile=hours")).await;
    assert_eq!(reasons(&answer), "Come back between 08:00 and 18:00 UTC. Not at the weekend.");
    assert_eq!(answer.audit["rules"], json!(["hours-only", "weekdays-only"]));
    assert!(!answer.response.body.contains("weekdays-only"));
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_denied_in_the_same_words() {
    let api = Api::start().await;
    let unknown = api.send(Call::get("/?profile=no-such-profile")).await;
    let unpermitted = api.send(Call::get("/?profile=nobody")).await;
    assert_eq!(reasons(&unknown), reasons(&unpermitted));
    assert_eq!(unknown.audit["detail"], "denied: no such profile");
    assert_eq!(unpermitted.audit["detail"], "denied: no policy permits it");
}

#[tokio::test]
async fn the_deciding_permit_is_in_the_audit_line() {
    let api = Api::start().await;
    assert_eq!(
        api.send(Call::get("/?profile=development")).await.audit["rules"],
        json!(["open-to-all"])
    );
}

#[tokio::test]
async fn the_source_address_is_the_one_aws_saw() {
    let api = Api::start().await;
    let office = Call::get("/?profile=office");
    assert_eq!(api.send(office.clone()).await.status(), 200);
    let elsewhere = office.set("/requestContext/http/sourceIp", "203.0.113.9");
    assert_eq!(
        api.send(elsewhere.set("/headers/x-forwarded-for", "198.51.100.7")).await.status(),
        403
    );
}

#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_refuses() {
    let api = Api::start().await;
    let answer =
        api.send(Call::get("/?profile=office").without("/requestContext/http/sourceIp")).await;
    assert_eq!(reasons(&answer), "No policy permits this.");
    assert_eq!(answer.audit["detail"], "denied: a policy failed to evaluate");
    assert_eq!(answer.audit["rules"], json!(["office-network"]));
}

#[tokio::test]
async fn profiles_lists_what_this_caller_could_be_granted_now() {
    let mut api = Api::start().await;
    insta::assert_json_snapshot!(api.send(Call::get("/v1/profiles")).await.body());
    let names = |answer: Answer| {
        answer.body()["profiles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].clone())
            .collect::<Vec<_>>()
    };
    let user = Call::event("function-url-user").target("GET", "/v1/profiles");
    assert_eq!(
        names(api.send(user.clone()).await),
        ["capped", "development", "hours", "narrowable", "office", "rehearsed", "scoped"]
    );
    api.now += Duration::hours(10);
    assert_eq!(
        names(api.send(user).await),
        ["capped", "development", "narrowable", "office", "rehearsed", "scoped"]
    );
}

/// What `/v1/explain` says of a profile: the body without its name.
async fn explained(api: &Api, query: &str) -> serde_json::Value {
    let answer = api.send(Call::get(&format!("/v1/explain?{query}"))).await;
    assert_eq!(answer.status(), 200, "{query}");
    let mut body = answer.body();
    body.as_object_mut().unwrap().remove("profile");
    body
}

#[tokio::test]
async fn explain_reports_the_grant_without_granting_it() {
    let api = Api::start().await;
    assert_eq!(
        explained(&api, "profile=development").await,
        json!({ "allowed": true, "reasons": [], "duration": 900, "missing": [], "obstacles": [] })
    );
    let capped = json!({ "allowed": true, "reasons": [], "duration": 1_200, "clamped_by": "profile", "missing": [], "obstacles": [] });
    assert_eq!(explained(&api, "profile=capped&duration=3600").await, capped);
    assert!(api.sts.requests().await.is_empty());
}

#[tokio::test]
async fn explain_reports_what_is_missing() {
    const NOTHING: &[&str] = &["No policy permits this."];
    let mut api = Api::start().await;
    let refused = |reasons: &[&str], missing: &[&str]| json!({ "allowed": false, "reasons": reasons, "missing": missing, "obstacles": [] });
    assert_eq!(explained(&api, "profile=own-device").await, refused(NOTHING, &["device"]));
    assert_eq!(explained(&api, "profile=nobody").await, refused(NOTHING, &[]));
    assert_eq!(
        explained(&api, "profile=no-such-profile").await,
        refused(NOTHING, &[]),
        "the reply does not show whether a profile exists"
    );
    api.now += Duration::hours(10);
    assert_eq!(
        explained(&api, "profile=hours").await,
        refused(&["Come back between 08:00 and 18:00 UTC."], &["time"])
    );
}

#[tokio::test]
async fn explain_has_a_quota_of_its_own_and_strict_parameters() {
    let api = Api::with(&[("SENTINEL_RATE_LIMIT_REQUESTS", "1")]).await;
    for _ in 0..5 {
        let answer = api.send(Call::get("/v1/explain?profile=development")).await;
        assert_eq!(
            (answer.status(), &answer.audit["rate_limit"]["tier"]),
            (200, &json!("explain"))
        );
        assert_eq!(answer.audit["profile"], "development");
    }
    assert_eq!(
        api.send(Call::get("/v1/explain")).await.outcome(),
        (400, "MISSING_PROFILE".to_owned())
    );
    let post = Call::event("function-url-user").target("POST", "/v1/explain");
    assert_eq!(api.send(post).await.outcome(), (405, "METHOD_NOT_ALLOWED".to_owned()));
}

#[tokio::test]
async fn explain_separates_what_would_suffice_from_what_also_stands_in_the_way() {
    let api = Api::start().await;
    let closed = explained(&api, "profile=closed").await;
    assert_eq!(
        (&closed["reasons"], &closed["missing"], &closed["obstacles"]),
        (&json!(["Closed for good."]), &json!([]), &json!(["Closed for good."]))
    );
}

/// THREAT: the reason of a forbid tells a caller whom nothing permits that a profile exists.
/// PREVENTION: a profile that nothing permits looks like one that does not exist.
#[tokio::test]
async fn security_explain_does_not_tell_which_profiles_exist() {
    let api = Api::start().await;
    let unknown = explained(&api, "profile=no-such-profile").await;
    assert_eq!(unknown["reasons"], json!(["No policy permits this."]));
    for existing in ["nobody", "closed-to-all", "by-unique-id"] {
        assert_eq!(explained(&api, &format!("profile={existing}")).await, unknown, "{existing}");
    }
}

/// THREAT: a dry run of many policies outlives the deadline, and Lambda ends the process before its
/// audit line.
/// PREVENTION: dry runs yield between evaluations, so that the deadline ends them.
#[tokio::test]
async fn security_a_long_dry_run_ends_with_its_audit_line() {
    let profile = |n| format!("[p{n}]\nrole_arn = \"arn:aws:iam::222222222222:role/r\"\n");
    let forbid = |n| {
        let time = format!("context.now.toTime() < duration(\"{n}m\")");
        format!("forbid (principal, action, resource) when {{ {time} || true }};\n")
    };
    let profiles: String = (0..300).map(profile).collect();
    let forbids: String = (0..300).map(forbid).collect();
    let rules = format!("{forbids} permit (principal, action, resource);");
    let bundle = [("profiles", profiles.as_str()), ("policies/rules", rules.as_str())];
    let store = FakeParameters::holding(&bundle).await;
    let mut api = Api::with_parameters(&store, &[]).await;
    api.time_left = std::time::Duration::from_millis(300);
    for path in ["/v1/explain?profile=p1", "/v1/profiles"] {
        let answer = api.send(Call::get(path)).await;
        assert_eq!(answer.outcome(), (503, "SERVICE_UNAVAILABLE".to_owned()), "{path}");
    }
}
