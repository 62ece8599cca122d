//! Regression tests for the limiter: no race, no shared quota, no bypass through an outage; part of
//! `cargo test security`.

use super::{SETTINGS, admit, after, instance, key, limiter, passes, quota, start, user};
use crate::support::Dynamo;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{
    Admission, DecidedBy, FailureMode, Outcome, Quota, RateLimiter, SharedSettings, Tier,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;

async fn instances(dynamo: &Dynamo, quota: Quota, count: usize) -> Vec<Arc<RateLimiter>> {
    let mut instances = Vec::new();
    for _ in 0..count {
        instances.push(Arc::new(instance(dynamo, quota).await));
    }
    instances
}

/// THREAT: a caller sends many requests at one moment to many instances; each reads the count
/// before the others have written theirs, and together they admit more than the quota.
/// PREVENTION: one conditional write checks and counts; no instance reads first. DynamoDB orders
/// the writes of a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_instances_at_one_moment_admit_exactly_the_burst() {
    let dynamo = Dynamo::start().await;
    let instances = instances(&dynamo, quota(25), 8).await;
    let mut tasks = JoinSet::new();
    for turn in 0..200 {
        let limiter = Arc::clone(&instances[turn % instances.len()]);
        tasks.spawn(async move { admit(&limiter, "alice", start()).await });
    }
    let admissions: Vec<Admission> = tasks.join_all().await;
    assert_eq!(admissions.iter().filter(|admission| passes(admission)).count(), 25);
    assert!(admissions.iter().all(|admission| admission.writes <= 3), "three writes at most");
    assert!(
        admissions.iter().all(|admission| !matches!(admission.decided_by, DecidedBy::Fallback(..)))
    );
}

/// THREAT: a caller spreads concurrent requests over the edge of a window, where fixed windows
/// admit two quotas.
/// PREVENTION: the limiter has no window; it admits the burst, and then one request per interval.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_instances_with_a_moving_clock_admit_exactly_the_quota() {
    let dynamo = Dynamo::start().await;
    let instances = instances(&dynamo, quota(60), 4).await;
    let mut admitted = 0;
    for second in 0..10 {
        let mut tasks = JoinSet::new();
        for turn in 0..40 {
            let limiter = Arc::clone(&instances[turn % instances.len()]);
            tasks.spawn(async move { admit(&limiter, "alice", after(f64::from(second))).await });
        }
        admitted += tasks.join_all().await.iter().filter(|admission| passes(admission)).count();
        assert!(
            admitted <= 60 + usize::try_from(second).unwrap(),
            "never more than burst + elapsed / T"
        );
    }
    assert_eq!(admitted, 60 + 9, "and never fewer");
}

/// The requests and the burst of a quota, and steps: which instance admits, and how many
/// milliseconds after the step before.
fn schedule() -> impl Strategy<Value = (u32, u32, Vec<(usize, u32)>)> {
    (1_u32..30, 1_u32..12, proptest::collection::vec((0_usize..3, 0_u32..4_000), 1..40))
}

/// THREAT: some order of requests over several instances admits more than the quota, or refuses a
/// caller who is within it.
/// PREVENTION: the table is the only state that decides; any number of instances admit what one
/// limiter would.
#[test]
fn any_schedule_over_instances_admits_what_one_limiter_would() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let property = |(requests, burst, steps): (u32, u32, Vec<(usize, u32)>)| {
        runtime.block_on(async {
            let whole = |number| NonZeroU32::new(number).unwrap();
            let quota = Quota::new(whole(requests), whole(10), whole(burst));
            let dynamo = Dynamo::start().await;
            let instances = instances(&dynamo, quota, 3).await;
            let one = RateLimiter::<sentinel_tvm::DynamoTable>::in_memory(super::limits(quota));
            let mut milliseconds = 0;
            for (instance, gap) in steps {
                milliseconds += gap;
                let now = after(f64::from(milliseconds) / 1_000.0);
                let shared = admit(&instances[instance], "alice", now).await;
                let expected = admit(&one, "alice", now).await;
                prop_assert_eq!(shared.outcome, expected.outcome);
            }
            Ok(())
        })
    };
    runner.run(&schedule(), property).unwrap();
}

/// THREAT: one caller uses up another's quota, or requests of one kind use up the quota of another
/// kind.
/// PREVENTION: the key holds the tier and the whole principal.
#[tokio::test]
async fn principals_and_tiers_have_separate_keys() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(1)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    assert!(!passes(&admit(&limiter, "alice", start()).await));
    assert!(passes(&admit(&limiter, "bob", start()).await));
    assert!(passes(&limiter.admit(Tier::Read, &user("alice"), start()).await));
    assert!(
        dynamo.item(&key("alice")).is_some()
            && dynamo.item(&format!("RL#read#{}", user("alice"))).is_some()
    );
}

/// THREAT: a caller floods one key until DynamoDB throttles it, and the failure mode `open` lets
/// the flood through, or `closed` refuses other callers whose keys are on the same partition.
/// PREVENTION: throttling is not an outage; the instance decides from memory in every mode, for
/// callers that it knows.
#[tokio::test]
async fn security_throttling_is_decided_from_memory_in_every_mode() {
    for failure_mode in [FailureMode::Memory, FailureMode::Open, FailureMode::Closed] {
        let dynamo = Dynamo::start().await;
        let limiter =
            limiter(dynamo.uri(), quota(3), SharedSettings { failure_mode, ..SETTINGS }).await;
        assert!(passes(&admit(&limiter, "alice", start()).await));
        dynamo.fail(400, "ThrottlingException");
        for turn in 1..6 {
            let admission = admit(&limiter, "alice", start()).await;
            assert_eq!(passes(&admission), turn < 3, "{failure_mode:?}");
            assert!(!matches!(admission.outcome, Outcome::Uncounted | Outcome::Unavailable));
        }
    }
}

/// THREAT: a caller who is over the quota waits for an outage of the table, or causes one, and is
/// then admitted.
/// PREVENTION: the instance refuses from the state that it has learned from the table, before it
/// applies the failure mode.
#[tokio::test]
async fn security_a_known_flood_is_refused_even_while_the_mode_is_open() {
    let dynamo = Dynamo::start().await;
    let settings = SharedSettings { failure_mode: FailureMode::Open, ..SETTINGS };
    let limiter = limiter(dynamo.uri(), quota(2), settings).await;
    for _ in 0..2 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.fail(500, "InternalServerError");
    assert!(!passes(&admit(&limiter, "alice", start()).await));
}
