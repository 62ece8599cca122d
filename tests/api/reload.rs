//! The policy from Parameter Store: when it reloads, and which bundle decides when it cannot.

use crate::support::parameters::{BUNDLE, CLOSED, FakeParameters, PROFILES};
use crate::support::{Answer, Api, Call};
use sentinel_tvm::BundleFiles;
use serde_json::{Value, json};
use std::time::Duration as Real;

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
async fn a_bundle_of_several_pages_loads_completely() {
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
async fn after_two_thirds_of_the_ttl_the_policy_reloads_beside_the_requests() {
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
        "the old bundle decides for its whole TTL, and no request waits"
    );
    store.until_asked(3).await;
    api.wait(3);
    while vend(&api).await.status() == 200 {
        tokio::time::sleep(Real::from_millis(5)).await;
    }
    assert_eq!(store.pages().await, 3, "one reload of two pages");
}

/// THREAT: a broken, empty or incomplete update grants or refuses everything; or an attacker who
/// can make Parameter Store fail does so.
/// PREVENTION: the last good bundle decides, with a WARN, and its age is in the health reply; the
/// reload is retried soon.
#[tokio::test]
async fn security_a_bundle_that_does_not_load_leaves_the_last_good_one_in_force() {
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
async fn in_an_outage_the_last_bundle_decides_and_reloads_pause() {
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
async fn a_mixture_of_two_versions_is_not_used() {
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
