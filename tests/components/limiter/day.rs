//! A limit for the day beside the short window: one item, one write, both exact.

use super::{SETTINGS, admit, after, key, limits, micros, passes, quota, start, user};
use crate::support::dynamo::Front;
use crate::support::{self, Dynamo, TABLE};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{
    Admission, DecidedBy, DynamoTable, Limit, Limits, Outcome, Quota, RateLimiter, RetryAfter, Tier,
};
use serde_json::json;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;

/// `requests` in 24 hours.
fn day(requests: u32) -> Quota {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Quota::new(whole(requests), whole(86_400), whole(requests))
}

fn both(vend: Quota, day: Quota) -> Limits {
    Limits { vend_day: Limit::Quota(day), ..limits(vend) }
}

async fn instance(dynamo: &Dynamo, vend: Quota, day: Quota) -> RateLimiter {
    let table = DynamoTable::new(&support::sdk_config(dynamo.uri()).await, TABLE, SETTINGS.timeout);
    RateLimiter::shared(both(vend, day), table, SETTINGS)
}

fn remaining(admission: &Admission) -> (u32, Option<u32>) {
    match admission.outcome {
        Outcome::Admitted(status) | Outcome::Throttled(status, _) => {
            (status.windows.short.remaining, status.windows.day.map(|day| day.remaining))
        }
        other => panic!("not counted: {other:?}"),
    }
}

fn retry_after(admission: &Admission) -> u64 {
    match admission.outcome {
        Outcome::Throttled(_, RetryAfter(seconds)) => seconds,
        other => panic!("not throttled: {other:?}"),
    }
}

#[tokio::test]
async fn both_windows_are_charged_in_one_write() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5), day(100)).await;
    let first = admit(&limiter, "alice", start()).await;
    assert_eq!((first.writes, remaining(&first)), (1, (4, Some(99))));
    assert_eq!(admit(&limiter, "alice", start()).await.writes, 1);
    assert_eq!(admit(&limiter, "alice", after(60.0)).await.writes, 1, "only the day is ahead");
    let idle = "(attribute_not_exists(TAT) OR TAT <= :now)";
    let ahead = "TAT > :now AND TAT <= :latest";
    let day_ahead = "DayTAT > :now AND DayTAT <= :day_latest";
    let expected = [
        (
            "SET TAT = :tat, DayTAT = :day_tat, #ttl = :ttl",
            idle,
            "(attribute_not_exists(DayTAT) OR DayTAT <= :now)",
        ),
        ("ADD TAT :step, DayTAT :day_step SET #ttl = :ttl", ahead, day_ahead),
        ("ADD DayTAT :day_step SET TAT = :tat, #ttl = :ttl", idle, day_ahead),
    ];
    let sent = dynamo.requests();
    assert_eq!(sent.len(), 3);
    for ((_, request), (update, short, day)) in sent.iter().zip(expected) {
        let not_blocked = "(attribute_not_exists(Blocked) OR Blocked <= :now)";
        assert_eq!(request["UpdateExpression"], update);
        assert_eq!(request["ConditionExpression"], format!("{short} AND {not_blocked} AND {day}"));
    }
    let now = micros(start());
    let number = |value: u64| json!({ "N": value.to_string() });
    assert_eq!(
        dynamo.item(&key("alice")).unwrap(),
        json!({
            "PK": { "S": key("alice") },
            "TAT": number(now + 72_000_000),
            "DayTAT": number(now + 3 * 864_000_000),
            "TTL": number((now / 1_000_000) + 60 + 86_400 + 3_600),
        })
    );
}

#[tokio::test]
async fn the_day_refuses_what_the_short_window_would_admit_without_a_write() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(60), day(10)).await;
    for turn in 0..10 {
        assert!(passes(&admit(&limiter, "alice", after(f64::from(turn))).await));
    }
    dynamo.requests();
    let refused = admit(&limiter, "alice", after(10.0)).await;
    assert_eq!((refused.decided_by.clone(), refused.writes), (DecidedBy::Mirror, 0));
    assert_eq!(remaining(&refused), (60, Some(0)));
    assert_eq!(retry_after(&refused), 8_640 - 10);
    assert!(dynamo.requests().is_empty());
    assert!(!passes(&admit(&limiter, "alice", after(8_639.0)).await));
    assert!(passes(&admit(&limiter, "alice", after(8_640.0)).await));
    assert!(passes(&limiter.admit(Tier::Read, &user("alice"), start()).await), "of `vend` alone");
}

#[tokio::test]
async fn a_request_that_one_window_refuses_is_charged_to_neither() {
    let dynamo = Dynamo::start().await;
    let [one, other] =
        [instance(&dynamo, quota(2), day(100)).await, instance(&dynamo, quota(2), day(100)).await];
    for _ in 0..2 {
        assert!(passes(&admit(&one, "alice", start()).await));
    }
    let before = dynamo.item(&key("alice"));
    let refused = admit(&other, "alice", start()).await;
    assert_eq!(
        (refused.decided_by.clone(), remaining(&refused)),
        (DecidedBy::Table, (0, Some(98)))
    );
    assert_eq!(retry_after(&refused), 30, "the longer wait of the two");
    assert_eq!(dynamo.item(&key("alice")), before);
}

#[tokio::test]
async fn a_day_that_is_turned_on_later_starts_with_the_next_request() {
    let dynamo = Dynamo::start().await;
    let without = super::instance(&dynamo, quota(5)).await;
    for _ in 0..3 {
        assert!(passes(&admit(&without, "alice", start()).await));
    }
    let with = instance(&dynamo, quota(5), day(100)).await;
    let admission = admit(&with, "alice", start()).await;
    assert_eq!((admission.writes, remaining(&admission)), (2, (1, Some(99))));
    assert!(passes(&admit(&without, "alice", start()).await), "and it may be turned off again");
}

#[tokio::test]
async fn a_block_refuses_and_charges_neither_window() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5), day(100)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    dynamo.block(&key("alice"), micros(after(600.0)));
    let before = dynamo.item(&key("alice"));
    assert!(matches!(admit(&limiter, "alice", start()).await.outcome, Outcome::Blocked(_)));
    assert_eq!(dynamo.item(&key("alice")), before);
}

#[tokio::test]
async fn requests_of_an_outage_are_charged_to_both_windows_once() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5), day(100)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    dynamo.fail(500, "InternalServerError");
    for _ in 0..3 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.set(Front::Pass);
    let admission = admit(&limiter, "alice", start()).await;
    assert_eq!((admission.writes, remaining(&admission)), (1, (0, Some(95))));
    assert!(!passes(&admit(&limiter, "alice", start()).await));
    let item = dynamo.item(&key("alice")).unwrap();
    let now = micros(start());
    assert_eq!(item["TAT"]["N"], (now + 5 * 12_000_000).to_string());
    assert_eq!(item["DayTAT"]["N"], (now + 5 * 864_000_000).to_string());
}

/// THREAT: a caller sends many requests at one moment to many instances, or an instance dies between
/// two writes, and one window admits more than its bound.
/// PREVENTION: both windows are checked and charged by the same conditional write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_many_instances_at_one_moment_admit_exactly_the_smaller_burst() {
    for (vend, in_a_day, expected) in [(40, 25, 25), (25, 40, 25)] {
        let dynamo = Dynamo::start().await;
        let mut instances = Vec::new();
        for _ in 0..8 {
            instances.push(Arc::new(instance(&dynamo, quota(vend), day(in_a_day)).await));
        }
        let mut tasks = JoinSet::new();
        for turn in 0..200 {
            let limiter = Arc::clone(&instances[turn % instances.len()]);
            tasks.spawn(async move { admit(&limiter, "alice", start()).await });
        }
        let admissions = tasks.join_all().await;
        assert_eq!(admissions.iter().filter(|admission| passes(admission)).count(), expected);
        assert!(admissions.iter().all(|admission| admission.writes <= 4), "four writes at most");
        let decided = |by: &DecidedBy| matches!(by, DecidedBy::Table | DecidedBy::Mirror);
        assert!(admissions.iter().all(|admission| decided(&admission.decided_by)));
    }
}

/// What a window admitted: never more than `burst + elapsed / interval`, from any moment on.
struct Meter {
    quota: Quota,
    tat: u64,
}

impl Meter {
    fn interval(&self) -> u64 {
        (u64::from(self.quota.window_seconds()) * 1_000_000)
            .div_ceil(u64::from(self.quota.requests()))
    }

    fn admits(&self, now: u64) -> bool {
        self.tat <= now + u64::from(self.quota.burst() - 1) * self.interval()
    }

    fn charge(&mut self, now: u64) {
        self.tat = self.tat.max(now) + self.interval();
    }
}

/// The requests and the burst of each window.
type Quotas = (u32, u32, u32, u32);

/// The quotas, and steps: which instance admits, and how many milliseconds after the step before.
fn schedule() -> impl Strategy<Value = (Quotas, Vec<(usize, u32)>)> {
    let quotas = (1_u32..30, 1_u32..12, 1_u32..60, 1_u32..20);
    (quotas, proptest::collection::vec((0_usize..3, 0_u32..4_000), 1..40))
}

/// THREAT: some order of requests over several instances lets one window admit more than its bound,
/// or makes one refuse what both allow.
/// PREVENTION: the item is the only state that decides, and each write changes it as a whole.
#[test]
fn security_any_schedule_admits_what_two_meters_would() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let property = |((requests, burst, in_a_day, day_burst), steps): (Quotas, Vec<_>)| {
        runtime.block_on(async {
            let whole = |number| NonZeroU32::new(number).unwrap();
            // A `day` of 100 seconds, so that the steps reach both limits.
            let short = Quota::new(whole(requests), whole(10), whole(burst));
            let long = Quota::new(whole(in_a_day), whole(100), whole(day_burst));
            let dynamo = Dynamo::start().await;
            let mut instances = Vec::new();
            for _ in 0..3 {
                instances.push(instance(&dynamo, short, long).await);
            }
            let here = RateLimiter::<DynamoTable>::in_memory(both(short, long));
            let mut meters = [short, long].map(|quota| Meter { quota, tat: 0 });
            let mut milliseconds = 0;
            for (instance, gap) in steps {
                milliseconds += gap;
                let at = after(f64::from(milliseconds) / 1_000.0);
                let now = micros(at);
                let expected = meters.iter().all(|meter| meter.admits(now));
                if expected {
                    for meter in &mut meters {
                        meter.charge(now);
                    }
                }
                let shared = admit(&instances[instance], "alice", at).await;
                prop_assert_eq!(passes(&shared), expected, "at {} ms", milliseconds);
                prop_assert!(shared.writes <= 4);
                let alone = admit(&here, "alice", at).await;
                prop_assert_eq!(alone.outcome, shared.outcome);
            }
            Ok(())
        })
    };
    runner.run(&schedule(), property).unwrap();
}
