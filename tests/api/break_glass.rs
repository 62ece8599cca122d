//! Break-glass: who may take an emergency, how often, for how long, and that it is never silent; part
//! of `cargo test security`.

use crate::access::{alice, api, code, instances, operator, person, send, vend};
use crate::support::audit::metric;
use crate::support::{Answer, Api, Call, Dynamo};
use futures_util::future::join_all;
use serde_json::{Value, json};

const REASON: &str = "the database is on fire";

fn take(by: &str, profile: &str, reason: &str) -> Call {
    let body = json!({ "profile": profile, "reason": reason, "ticket": "INC-1" });
    send(by, "POST", "/v1/break-glass").set("/body", body.to_string())
}

async fn taken(api: &Api, by: &str) -> Answer {
    let answer = api.send(take(by, "database", REASON)).await;
    assert_eq!(answer.status(), 200, "{}", answer.audit);
    answer
}

fn emergencies(answer: &Answer) -> Value {
    metric(&answer.audit, "Emergencies").map_or(Value::Null, |(_, value)| value.clone())
}

/// THREAT: somebody breaks the glass, and nobody notices.
/// PREVENTION: the audit line, a metric, and a tag of each session say so.
#[tokio::test]
async fn security_an_emergency_is_never_silent() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    assert_eq!(code(&api.send(vend(&operator(), "database")).await), "POLICY_DENY");
    let answer = taken(&api, &operator()).await;
    let expected = json!({
        "profile": "database", "reason": REASON, "ticket": "INC-1",
        "began_at": "2026-03-04T10:30:00Z", "ends_at": "2026-03-04T14:30:00Z",
    });
    assert_eq!(answer.body(), expected);
    assert_eq!(answer.audit["emergency"], expected);
    assert_eq!(answer.audit["rules"], json!(["operators-break-glass"]));
    assert_eq!(emergencies(&answer), json!(1));

    let vended = api.send(vend(&operator(), "database")).await;
    assert_eq!(vended.status(), 200, "{}", vended.audit);
    assert_eq!(vended.audit["emergency"], expected);
    assert_eq!(emergencies(&vended), json!(1));
    assert_eq!(vended.audit["tags"]["SentinelEmergency"], "2026-03-04T10:30:00Z");
    let assumed = api.sts.requests().await;
    let last = assumed.iter().rfind(|request| request["Action"] == "AssumeRole").unwrap();
    assert!(last.values().any(|value| value == "SentinelEmergency"), "STS got the tag: {last:?}");

    let other = api.send(vend(&operator(), "development")).await;
    assert_eq!((&other.audit["emergency"], emergencies(&other)), (&Value::Null, Value::Null));
}

/// THREAT: an emergency becomes a habit, or a race makes several of one.
/// PREVENTION: one conditional write: at most one in 24 hours for each principal.
#[tokio::test]
async fn security_one_emergency_a_day_whatever_the_race() {
    let dynamo = Dynamo::start().await;
    let mut instances = instances(&dynamo, 10).await;
    for (turn, api) in instances.iter_mut().enumerate() {
        api.wait(u64::try_from(turn).unwrap());
    }
    let racing = instances.iter().map(|api| api.send(take(&operator(), "database", REASON)));
    let codes: Vec<_> = join_all(racing).await.iter().map(code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "OK").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "EMERGENCY_USED").count(), 9);

    let api = &mut instances[9];
    api.wait(86_400 - 10);
    assert_eq!(code(&api.send(take(&operator(), "database", REASON)).await), "EMERGENCY_USED");
    api.wait(20);
    taken(api, &operator()).await;
}

/// THREAT: access outlasts the emergency.
/// PREVENTION: sessions end with it, and none begins in its last 15 minutes.
#[tokio::test]
async fn security_nothing_outlasts_an_emergency() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    taken(&api, &operator()).await;
    api.wait(4 * 3_600 - 1_000);
    let vended = api.send(vend(&operator(), "database&duration=3600")).await;
    assert_eq!(vended.header("X-Sentinel-Granted-Seconds"), Some("1000"));
    assert_eq!(vended.header("X-Sentinel-Clamped-By"), Some("emergency"));
    api.wait(101);
    assert_eq!(code(&api.send(vend(&operator(), "database")).await), "POLICY_DENY");
}

/// THREAT: somebody takes an emergency whom no rule about emergencies permits it, for a profile that
/// it is not meant for, or uses somebody else's.
/// PREVENTION: a permit that names the action; a profile whose policies read the emergency; people
/// only; the item names principal and profile.
#[tokio::test]
async fn security_an_emergency_needs_its_own_permit_and_serves_one_person() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    let role = "arn:aws:sts::123456789012:assumed-role/op-role/session";
    for (by, profile, expected) in [
        (alice(), "database", "POLICY_DENY"),
        (operator(), "production", "POLICY_DENY"),
        (operator(), "secret", "POLICY_DENY"),
        (operator(), "no-such-profile", "POLICY_DENY"),
        (role.to_owned(), "database", "PERSON_REQUIRED"),
        ("arn:aws:iam::123456789012:root".to_owned(), "database", "PERSON_REQUIRED"),
    ] {
        let answer = api.send(take(&by, profile, REASON)).await;
        assert_eq!(code(&answer), expected, "{by} {profile}");
        assert_eq!(emergencies(&answer), Value::Null);
    }
    assert!(dynamo.items(Dynamo::GRANTS).is_empty(), "a refusal uses nothing up");
    taken(&api, &operator()).await;
    assert_eq!(code(&api.send(vend(&alice(), "database")).await), "POLICY_DENY");
    assert_eq!(code(&api.send(vend(&operator(), "production")).await), "POLICY_DENY");
}

#[tokio::test]
async fn an_emergency_needs_a_reason_of_twenty_characters_and_has_no_duration() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    for reason in ["", "fire", "nineteen characters", &format!("{REASON}\n")[..5]] {
        let answer = api.send(take(&operator(), "database", reason)).await;
        assert_eq!(answer.outcome(), (400, "INVALID_REQUEST".to_owned()), "{reason}");
    }
    let long = json!({ "profile": "database", "reason": REASON, "duration": 3600 });
    let long = send(&operator(), "POST", "/v1/break-glass").set("/body", long.to_string());
    assert_eq!(api.send(long).await.status(), 400);
    assert!(dynamo.items(Dynamo::GRANTS).is_empty());
}

#[tokio::test]
async fn only_profiles_whose_policies_mention_an_emergency_cost_a_read() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    taken(&api, &operator()).await;
    let reads = || dynamo.requests().iter().filter(|(name, _)| name == "GetItem").count();
    reads();
    for (profile, expected) in [("database", 1), ("production", 1), ("development", 0)] {
        api.send(vend(&operator(), profile)).await;
        assert_eq!(reads(), expected, "{profile}");
    }
}

/// THREAT: the table fails, or holds nonsense, and a decision treats that as an emergency.
/// PREVENTION: without an answer that reads as one, 503.
#[tokio::test]
async fn security_without_the_table_there_is_no_emergency() {
    let dynamo = Dynamo::start().await;
    let api = api(&dynamo).await;
    taken(&api, &operator()).await;
    let item = dynamo.items(Dynamo::GRANTS).remove(0);
    for (name, value) in
        [("Kind", json!({ "S": "x" })), ("ExpiresAt", json!({ "S": "9999999999" }))]
    {
        let mut broken = item.clone();
        broken[name] = value;
        dynamo.put(Dynamo::GRANTS, &broken);
        assert_eq!(api.send(vend(&operator(), "database")).await.status(), 503, "{name}");
    }
    dynamo.fail_operation("UpdateItem", 500, "InternalServerError");
    let answer = api.send(take(&operator(), "database", REASON)).await;
    assert_eq!((answer.status(), emergencies(&answer)), (503, Value::Null));
}

#[tokio::test]
async fn without_a_grants_table_there_is_no_such_path() {
    let api = Api::start().await;
    assert_eq!(code(&api.send(take(&operator(), "database", REASON)).await), "NOT_FOUND");
}

#[tokio::test]
async fn each_person_has_an_emergency_of_their_own_and_its_item_stays_for_a_month() {
    let dynamo = Dynamo::start().await;
    let mut api = api(&dynamo).await;
    taken(&api, &operator()).await;
    taken(&api, &person("op-otto")).await;
    api.wait(1);
    assert_eq!(code(&api.send(take(&operator(), "database", REASON)).await), "EMERGENCY_USED");
    let items = dynamo.items(Dynamo::GRANTS);
    assert_eq!(items.len(), 2);
    for item in items {
        // 2026-03-04T14:30:00Z, the emergency's end, and 30 days.
        assert_eq!(item["TTL"]["N"], "1775226600", "{item}");
    }
}
