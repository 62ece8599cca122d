//! The policy store against a Parameter Store on loopback: what is shared, what waits, and when
//! there is no start.

use crate::support::parameters::{BUNDLE, CLOSED, FakeParameters, PATH};
use crate::support::{config, sdk_config, wednesday_morning};
use sentinel_tvm::{PolicyStore, ReloadError};
use std::time::Duration as Real;

/// A policy that `store` holds, with what it is loaded from the start.
async fn policies(store: &FakeParameters) -> PolicyStore {
    let setting = config(&[("SENTINEL_POLICY_PARAMETER", PATH)]).policy;
    PolicyStore::open(&setting, &sdk_config(&store.uri()).await, wednesday_morning()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_waiting_requests_share_one_reload() {
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

#[tokio::test]
async fn a_delayed_reload_counts_until_a_later_one_finishes() {
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
async fn a_start_during_a_change_waits_for_its_end() {
    let store = FakeParameters::holding(&BUNDLE).await;
    store.put(&[("digest", "of something else")]);
    let started = async { policies(&store).await };
    let changed = async {
        store.until_asked(2).await;
        store.delete("digest");
    };
    let (policies, ()) = tokio::join!(started, changed);
    assert_eq!(policies.health(wednesday_morning()).profiles, 1);
}

#[tokio::test]
async fn without_a_first_bundle_the_function_does_not_start() {
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
    assert!(
        problems.contains("profiles.toml:1:1: ") && problems.contains("a.cedar:1:"),
        "{problems}"
    );
    store.fail(400, "AccessDeniedException").await;
    assert_eq!(open(&store).await, ReloadError::Refused("AccessDeniedException".to_owned()));
    store.hang().await;
    assert_eq!(open(&store).await, ReloadError::TimedOut);
}
