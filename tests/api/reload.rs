//! The policy from Parameter Store: when it is asked for anew, and what decides when it cannot be had.

use crate::support::parameters::{FakeParameters, PATH};
use crate::support::{Answer, Api, Call, config, sdk_config, wednesday_morning};
use sentinel_tvm::{BundleFiles, PolicyStore, ReloadError};
use serde_json::{Value, json};
use std::time::Duration as Real;

const PROFILES: &str = r#"
    [development]
    role_arn = "arn:aws:iam::222222222222:role/vended-development"
"#;
const OPEN: &str = r#"@id("open") permit (principal, action, resource);"#;
const CLOSED: &str =
    r#"@id("closed") @reason("Closed for today.") forbid (principal, action, resource);"#;
const BUNDLE: [(&str, &str); 2] = [("profiles", PROFILES), ("policies/access", OPEN)];

/// A function whose policy is in `store`.
async fn api(store: &FakeParameters) -> Api {
    Api::with_parameters(store, &[]).await
}

async fn vend(api: &Api) -> Answer {
    api.send(Call::get("/?profile=development")).await
}

async fn health(api: &Api) -> Value {
    api.send(Call::get("/v1/health")).await.body()["policy"].clone()
}

/// Waits until `store` has been asked for that many pages, as it is by a reload beside the requests.
async fn until_asked(store: &FakeParameters, pages: usize) {
    for _ in 0..1_000 {
        if store.pages().await >= pages {
            return;
        }
        tokio::time::sleep(Real::from_millis(5)).await;
    }
    panic!("no reload");
}

#[tokio::test]
async fn a_change_decides_within_the_ttl_without_a_restart() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = api(&store).await;
    let before = vend(&api).await;
    assert_eq!(before.status(), 200);
    store.put(&[("policies/closed", CLOSED)]);
    api.wait(30);
    let closed = vend(&api).await;
    assert_eq!((closed.status(), &closed.body()["Message"]), (403, &json!("Closed for today.")));
    assert_ne!(closed.audit["policy_digest"], before.audit["policy_digest"]);
    store.delete("policies/closed");
    api.wait(30);
    let open = vend(&api).await;
    assert_eq!(
        (open.status(), &open.audit["policy_digest"]),
        (200, &before.audit["policy_digest"])
    );
}

#[tokio::test]
async fn a_bundle_of_many_pages_is_taken_whole() {
    let permits: Vec<(String, String)> = (0..7)
        .map(|n| {
            (
                format!("policies/team/{n}"),
                format!("@id(\"p{n}\") permit (principal, action, resource);"),
            )
        })
        .collect();
    let store = FakeParameters::holding(&[("profiles", PROFILES)]).await;
    for (name, text) in &permits {
        store.put(&[(name, text)]);
    }
    store.put(&[("profiles/more", "[other]\nrole_arn = \"arn:aws:iam::222222222222:role/other\"")]);
    let api = api(&store).await;
    assert_eq!(store.pages().await, 5);
    assert_eq!(vend(&api).await.audit["rules"].as_array().unwrap().len(), 7);
    assert_eq!(health(&api).await["profiles"], 2);
}

#[tokio::test]
async fn within_two_thirds_of_the_ttl_nothing_is_asked_and_then_beside_the_request() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = api(&store).await;
    for _ in 0..20 {
        vend(&api).await;
    }
    assert_eq!(store.pages().await, 1, "at the start");
    store.put(&[("policies/closed", CLOSED)]);
    api.wait(20);
    assert_eq!(
        vend(&api).await.status(),
        200,
        "the old one decides for its whole TTL, and nobody waits"
    );
    until_asked(&store, 3).await;
    api.wait(3);
    while vend(&api).await.status() == 200 {
        tokio::time::sleep(Real::from_millis(5)).await;
    }
    assert_eq!(store.pages().await, 3, "one reload of two pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_wait_share_one_reload() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let policies = policies(&store).await;
    let later = wednesday_morning() + time::Duration::seconds(31);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let policies = policies.clone();
        tasks.spawn(async move { policies.current(later).await.unwrap().digest().to_owned() });
    }
    tasks.join_all().await;
    assert_eq!(store.pages().await, 2, "one at the start, one reload");
}

/// THREAT: a broken, empty or half-written update opens or closes the door, or an attacker who can make Parameter Store fail does.
/// PREVENTION: the last good bundle decides, with a WARN, and its age is told; it is asked for again soon.
#[tokio::test]
async fn security_what_does_not_load_leaves_the_last_good_bundle_in_force() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = api(&store).await;
    let good = vend(&api).await.audit["policy_digest"].clone();
    for broken in [
        ("policies/access", "permit (principal"),
        ("profiles", ""),
        ("polices/typo", CLOSED),
        ("digest", "00"),
    ] {
        store.put(&[broken]);
        api.wait(30);
        let answer = vend(&api).await;
        assert_eq!((answer.status(), &answer.audit["policy_digest"]), (200, &good), "{broken:?}");
        let health = health(&api).await;
        assert_eq!(
            (&health["source"], &health["stale"], &health["age_seconds"]),
            (&json!("ssm"), &json!(true), &json!(30)),
            "{broken:?}"
        );
        if !BUNDLE.iter().any(|(name, _)| *name == broken.0) {
            store.delete(broken.0);
        }
        store.put(&BUNDLE);
        api.wait(5);
        assert_eq!(vend(&api).await.status(), 200);
        assert_eq!(health_age(&api).await, (false, 0), "{broken:?}");
    }
    for name in ["profiles", "policies/access"] {
        store.delete(name);
    }
    api.wait(30);
    assert_eq!(vend(&api).await.audit["policy_digest"], good, "empty");
}

async fn health_age(api: &Api) -> (bool, u64) {
    let health = health(api).await;
    (health["stale"].as_bool().unwrap(), health["age_seconds"].as_u64().unwrap())
}

#[tokio::test]
async fn an_outage_is_bridged_and_asks_for_nothing_in_the_pause() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = Api::with_parameters(&store, &[("SENTINEL_POLICY_MAX_AGE", "7200")]).await;
    store.fail(400, "AccessDeniedException").await;
    api.wait(3_600);
    for _ in 0..10 {
        assert_eq!(vend(&api).await.status(), 200);
    }
    assert_eq!(store.pages().await, 1, "then a pause");
    assert_eq!(health_age(&api).await, (true, 3_600));
    api.wait(5);
    assert_eq!(vend(&api).await.status(), 200);
    assert_eq!(store.pages().await, 2);
    store.put(&[("policies/closed", CLOSED)]);
    store.answer().await;
    api.wait(5);
    assert_eq!(vend(&api).await.status(), 403);
}

#[tokio::test]
async fn a_mixture_of_two_versions_waits_for_the_rest() {
    let whole = |parameters: &[(&str, &str)]| {
        let owned = parameters.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        BundleFiles::from_parameters(owned).unwrap().digest().to_owned()
    };
    let store = FakeParameters::holding(&BUNDLE).await;
    store.put(&[("digest", &whole(&BUNDLE))]);
    let mut api = api(&store).await;
    store.put(&[("policies/closed", CLOSED)]);
    api.wait(30);
    assert_eq!(vend(&api).await.status(), 200, "the digest is still the old one");
    store.put(&[("digest", &whole(&[BUNDLE[0], BUNDLE[1], ("policies/closed", CLOSED)]))]);
    api.wait(5);
    assert_eq!(vend(&api).await.status(), 403);
}

/// A policy that `store` holds, with what it is loaded from the start.
async fn policies(store: &FakeParameters) -> PolicyStore {
    let setting = config(&[("SENTINEL_POLICY_PARAMETER", PATH)]).policy;
    PolicyStore::open(&setting, &sdk_config(&store.uri()).await, wednesday_morning()).await.unwrap()
}

#[tokio::test]
async fn a_reload_that_was_held_up_counts_until_a_later_one_is_back() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let policies = policies(&store).await;
    let old = policies.held().digest().to_owned();
    store.put(&[("policies/closed", CLOSED)]);
    store.answer_after(Real::from_millis(100)).await;
    let at = |seconds| wednesday_morning() + time::Duration::seconds(seconds);
    // The second begins another, as the first has taken too long by its clock.
    let (first, second) = tokio::join!(policies.current(at(30)), policies.current(at(36)));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.digest(), old);
    assert_eq!(first.digest(), second.digest());
    assert_eq!(policies.health(at(36)).age_seconds, 0, "the later one's");
}

#[tokio::test]
async fn a_start_in_the_middle_of_a_change_waits_for_its_end() {
    let store = FakeParameters::holding(&BUNDLE).await;
    store.put(&[("digest", "of something else")]);
    let started = async { policies(&store).await };
    let changed = async {
        until_asked(&store, 2).await;
        store.delete("digest");
    };
    let (policies, ()) = tokio::join!(started, changed);
    assert_eq!(policies.health(wednesday_morning()).profiles, 1);
}

#[tokio::test]
async fn without_a_first_bundle_there_is_no_start() {
    let open = async |store: &FakeParameters| {
        let setting = config(&[("SENTINEL_POLICY_PARAMETER", PATH)]).policy;
        PolicyStore::open(&setting, &sdk_config(&store.uri()).await, wednesday_morning())
            .await
            .unwrap_err()
    };
    let store = FakeParameters::holding(&[]).await;
    assert!(matches!(open(&store).await, ReloadError::Bundle(_)));
    store.put(&[("profiles", "[x]"), ("policies/a", "permit")]);
    let problems = open(&store).await.to_string();
    assert!(problems.contains("profiles.toml: ") && problems.contains("a.cedar:1:"), "{problems}");
    store.fail(400, "AccessDeniedException").await;
    assert_eq!(open(&store).await, ReloadError::Refused("AccessDeniedException".to_owned()));
    store.hang().await;
    assert_eq!(open(&store).await, ReloadError::TimedOut);
}

/// THREAT: whoever can make Parameter Store fail, by throttling for example, keeps a withdrawn
/// permission alive for as long as they like.
/// PREVENTION: past a maximum age a policy decides nothing.
#[tokio::test]
async fn security_a_policy_that_cannot_be_reloaded_expires() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = Api::with_parameters(&store, &[("SENTINEL_POLICY_MAX_AGE", "600")]).await;
    store.fail(400, "ThrottlingException").await;
    let vends = [
        (600, 200, "OK"),
        (60, 503, "SERVICE_UNAVAILABLE"),
        (396 * 86_400, 503, "SERVICE_UNAVAILABLE"),
    ];
    for (seconds, status, code) in vends {
        api.wait(seconds);
        assert_eq!(vend(&api).await.outcome(), (status, code.to_owned()));
    }
    for path in ["/v1/profiles", "/v1/explain?profile=development"] {
        assert_eq!(api.send(Call::get(path)).await.status(), 503, "{path}");
    }
    let health = api.send(Call::get("/v1/health")).await;
    assert_eq!((health.status(), &health.body()["status"]), (200, &json!("failing")));
    store.answer().await;
    api.wait(10);
    assert_eq!(vend(&api).await.status(), 200, "it answers again");
}

#[tokio::test]
async fn health_looks_for_a_newer_policy_first() {
    let store = FakeParameters::holding(&BUNDLE).await;
    let mut api = api(&store).await;
    let old = health(&api).await["digest"].clone();
    store.put(&[("policies/closed", CLOSED)]);
    api.wait(3_000);
    let fresh = api.send(Call::get("/v1/health")).await.body();
    assert_ne!(fresh["policy"]["digest"], old, "an idle instance does not show what it held");
    assert_eq!((&fresh["status"], &fresh["policy"]["age_seconds"]), (&json!("ok"), &json!(0)));
    store.fail(500, "InternalServerError").await;
    api.wait(600);
    let failing = api.send(Call::get("/v1/health")).await.body();
    assert_eq!(
        (&failing["status"], &failing["policy"]["stale"]),
        (&json!("degraded"), &json!(true))
    );
}
