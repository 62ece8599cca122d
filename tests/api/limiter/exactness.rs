//! The quota is exact: over many limiters on one table, whatever their timing.

use super::{admit, after, instance, key, passes, quota, start, user};
use crate::support::Dynamo;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{Admission, DecidedBy, Outcome, Quota, RateLimiter, RetryAfter, Tier};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_and_instances_with_a_moving_clock_admit_exactly_what_is_due() {
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

/// One step of a schedule: which instance asks, and how many milliseconds after the step before.
fn schedule() -> impl Strategy<Value = (u32, u32, Vec<(usize, u32)>)> {
    (1_u32..30, 1_u32..12, proptest::collection::vec((0_usize..3, 0_u32..4_000), 1..40))
}

#[test]
fn any_schedule_over_instances_admits_what_one_bucket_would() {
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

#[tokio::test]
async fn whoever_waits_as_told_is_admitted_by_any_instance() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(5)).await, instance(&dynamo, quota(5)).await];
    for _ in 0..5 {
        assert!(passes(&admit(&one, "alice", start()).await));
    }
    let Outcome::Throttled(_, RetryAfter(wait)) = admit(&other, "alice", after(0.5)).await.outcome
    else {
        panic!("the sixth is over the quota");
    };
    assert_eq!(wait, 12, "11.5 rounded up");
    assert!(!passes(&admit(&other, "alice", after(11.9)).await));
    assert!(passes(&admit(&one, "alice", after(0.5 + 12.0)).await));
}

#[tokio::test]
async fn principals_and_tiers_do_not_touch_each_other() {
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

#[tokio::test]
async fn a_clock_that_is_ahead_admits_its_lead_and_no_more() {
    let dynamo = Dynamo::start().await;
    let [right, fast] = [instance(&dynamo, quota(60)).await, instance(&dynamo, quota(60)).await];
    let mut admitted = 0;
    for second in 0..30 {
        for _ in 0..20 {
            admitted +=
                usize::from(passes(&admit(&right, "alice", after(f64::from(second))).await));
            admitted +=
                usize::from(passes(&admit(&fast, "alice", after(f64::from(second) + 2.0)).await));
        }
    }
    assert!(
        (89..=91).contains(&admitted),
        "one clock would admit 60 + 29; a lead of 2 s is worth 2 at most, once: {admitted}"
    );
}
