//! Blocked principals: refused by the write that would have charged them; part of
//! `cargo test security`.

use super::{SETTINGS, admit, after, instance, key, limiter, limits, micros, passes, quota, start};
use super::{user, whole_day};
use crate::support::Dynamo;
use crate::support::dynamo::Front;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sentinel_tvm::{
    Admission, Blocks, DecidedBy, DynamoTable, FailureMode, Limit, Limits, Outcome, RateLimiter,
    RetryAfter, SharedSettings,
};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

fn is_blocked(admission: &Admission) -> bool {
    matches!(admission.outcome, Outcome::Blocked(_))
}

/// THREAT: a caller is dangerous now, and each instance would learn of the block at another time.
/// PREVENTION: the block is in the item that every instance must write. The next request of any
/// instance is refused, with that one write and no other call, and nothing is charged.
#[tokio::test]
async fn security_a_block_holds_with_the_next_request_of_every_instance_and_costs_no_call() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(5)).await, instance(&dynamo, quota(5)).await];
    assert!(passes(&admit(&one, "alice", start()).await));
    assert!(passes(&admit(&other, "alice", start()).await));
    dynamo.block(&key("alice"), micros(whole_day()));
    let before = dynamo.item(&key("alice"));
    dynamo.requests();
    for limiter in [&one, &other] {
        let refused = admit(limiter, "alice", start()).await;
        assert_eq!(refused.outcome, Outcome::Blocked(whole_day()));
        assert_eq!((refused.writes, &refused.decided_by), (1, &DecidedBy::Table));
    }
    let operations: Vec<_> = dynamo.requests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(operations, ["UpdateItem", "UpdateItem"]);
    assert_eq!(dynamo.item(&key("alice")), before, "a refusal changes nothing");
    assert!(passes(&admit(&one, "bob", start()).await), "nobody else is blocked");
}

/// THREAT: a blocked caller floods the function, and each request costs a write.
/// PREVENTION: an instance remembers a block for half a minute.
#[tokio::test]
async fn security_a_flood_of_a_blocked_caller_costs_one_write_in_half_a_minute() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    dynamo.block(&key("alice"), micros(whole_day()));
    for turn in 0..1_000 {
        let refused = admit(&limiter, "alice", after(f64::from(turn) * 0.0299)).await;
        assert!(is_blocked(&refused));
        assert_eq!(refused.decided_by == DecidedBy::Mirror, turn > 0);
    }
    assert_eq!(dynamo.requests().len(), 1);
    assert_eq!(admit(&limiter, "alice", after(30.0)).await.decided_by, DecidedBy::Table);
}

#[tokio::test]
async fn lifting_a_block_takes_effect_within_half_a_minute() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(5)).await, instance(&dynamo, quota(5)).await];
    dynamo.block(&key("alice"), micros(whole_day()));
    assert!(is_blocked(&admit(&one, "alice", start()).await));
    dynamo.unblock(&key("alice"));
    assert!(passes(&admit(&other, "alice", after(1.0)).await), "it has not seen the block");
    assert!(is_blocked(&admit(&one, "alice", after(29.9)).await));
    assert!(passes(&admit(&one, "alice", after(30.0)).await));
    assert!(passes(&admit(&one, "alice", after(1.0)).await), "and then remembers no block");
}

#[tokio::test]
async fn a_block_ends_by_itself() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    dynamo.block(&key("alice"), micros(after(90.0)));
    assert!(is_blocked(&admit(&limiter, "alice", after(89.999)).await));
    for _ in 0..5 {
        assert!(passes(&admit(&limiter, "alice", after(90.0)).await), "a full budget, both forms");
    }
    assert!(!passes(&admit(&limiter, "alice", after(90.0)).await));
}

/// THREAT: at three in the morning, somebody writes the block by hand, in another form, and it
/// blocks nobody.
/// PREVENTION: whatever `Blocked` holds, unless it is a time in the past, refuses.
#[tokio::test]
async fn security_a_block_in_any_form_refuses() {
    for value in [
        json!({ "S": "yes" }),
        json!({ "S": "2026-03-04T11:00:00Z" }),
        json!({ "BOOL": true }),
        json!({ "NULL": true }),
        json!({ "M": { "until": { "N": "1" } } }),
        json!({ "N": "99999999999999999999999999999999999999" }),
    ] {
        let dynamo = Dynamo::start().await;
        let limiter = instance(&dynamo, quota(5)).await;
        assert!(passes(&admit(&limiter, "alice", start()).await));
        dynamo.block_by(&key("alice"), &value);
        let refused = admit(&limiter, "alice", start()).await;
        let Outcome::Blocked(until) = refused.outcome else { panic!("{value} does not block") };
        assert_eq!(until.year(), 9999, "it has no end");
    }
}

/// THREAT: a blocked caller waits for an outage of the table, or causes one, to be admitted.
/// PREVENTION: an instance that knows the block refuses until its end, in every failure mode, while
/// the table is out of reach.
#[tokio::test]
async fn security_a_known_block_holds_in_an_outage_whatever_the_failure_mode() {
    for failure_mode in [FailureMode::Memory, FailureMode::Open, FailureMode::Closed] {
        let dynamo = Dynamo::start().await;
        let settings = SharedSettings { failure_mode, ..SETTINGS };
        let limiter = limiter(dynamo.uri(), quota(5), settings).await;
        dynamo.block(&key("alice"), micros(after(3_600.0)));
        assert!(is_blocked(&admit(&limiter, "alice", start()).await));
        for (status, code) in [(500, "InternalServerError"), (400, "ThrottlingException")] {
            dynamo.fail(status, code);
            for minute in 1..60 {
                let refused = admit(&limiter, "alice", after(f64::from(minute) * 60.0)).await;
                assert!(is_blocked(&refused), "{failure_mode:?}, minute {minute}");
            }
        }
        let ended = admit(&limiter, "alice", after(3_600.0)).await;
        assert!(passes(&ended), "throttling is decided from memory, which knows no block any more");
    }
}

/// Requests that an instance admitted in an outage stay owed while the principal is blocked.
#[tokio::test]
async fn a_block_forgives_no_request_of_an_outage() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    dynamo.fail(500, "InternalServerError");
    for _ in 0..4 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.set(crate::support::dynamo::Front::Pass);
    dynamo.block(&key("alice"), micros(after(5.0)));
    assert!(is_blocked(&admit(&limiter, "alice", after(1.0)).await));
    assert!(passes(&admit(&limiter, "alice", after(5.0)).await), "the fifth of five");
    assert!(!passes(&admit(&limiter, "alice", after(5.0)).await), "four were owed");
}

/// THREAT: requests race with the block, and one that arrives after it is admitted.
/// PREVENTION: DynamoDB orders the writes of an item. What the table admitted came before the block.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn security_no_request_is_charged_after_the_block() {
    for _ in 0..20 {
        let dynamo = Arc::new(Dynamo::start().await);
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let limiter = instance(&dynamo, quota(1_000)).await;
            requests.spawn(async move {
                let mut blocked = false;
                for _ in 0..20 {
                    let admission = admit(&limiter, "alice", start()).await;
                    assert!(!(blocked && passes(&admission)), "admitted after a refusal");
                    blocked |= is_blocked(&admission);
                }
            });
        }
        while dynamo.item(&key("alice")).is_none() || dynamo.tat(&key("alice")) < micros(after(0.3))
        {
            tokio::task::yield_now().await;
        }
        dynamo.block(&key("alice"), micros(whole_day()));
        let at_the_block = dynamo.tat(&key("alice"));
        while let Some(done) = requests.join_next().await {
            done.unwrap();
        }
        assert_eq!(dynamo.tat(&key("alice")), at_the_block, "nothing was charged since");
        assert!(
            at_the_block < micros(after(9.6)),
            "the block came before the last of 160 requests"
        );
    }
}

/// Steps: which instance, milliseconds since the step before, and whether an operator blocks (for so
/// many milliseconds) or unblocks before it.
fn schedule() -> impl Strategy<Value = Vec<(usize, u32, Option<u32>)>> {
    let step = (0_usize..3, 0_u32..20_000, proptest::option::weighted(0.3, 0_u32..60_000));
    proptest::collection::vec(step, 1..40)
}

/// THREAT: some order of blocks, ends of blocks and requests over several instances admits a blocked
/// caller.
/// PREVENTION: the table's block decides each write; an instance's memory only ever refuses, and
/// forgets a lifted block after half a minute.
#[test]
fn security_any_schedule_refuses_while_blocked_and_admits_half_a_minute_after() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let property = |steps: Vec<(usize, u32, Option<u32>)>| {
        runtime.block_on(async {
            let dynamo = Dynamo::start().await;
            let mut instances = Vec::new();
            for _ in 0..3 {
                instances.push(instance(&dynamo, quota(1_000)).await);
            }
            // In milliseconds: the time, the end of the block in force, and when one last held.
            let (mut now, mut end, mut last_held) = (0_u64, 0_u64, None::<u64>);
            for (instance, gap, block) in steps {
                if end > now {
                    last_held = Some(end.min(now + u64::from(gap)));
                }
                now += u64::from(gap);
                if let Some(length) = block {
                    if end > now {
                        last_held = Some(now);
                    }
                    end = now + u64::from(length);
                    #[expect(clippy::cast_precision_loss, reason = "minutes, in milliseconds")]
                    let until = after(end as f64 / 1_000.0);
                    dynamo.block(&key("alice"), micros(until));
                }
                #[expect(clippy::cast_precision_loss, reason = "minutes, in milliseconds")]
                let at = after(now as f64 / 1_000.0);
                let admission = admit(&instances[instance], "alice", at).await;
                if end > now {
                    prop_assert!(is_blocked(&admission), "blocked until {end}, now {now}");
                } else if last_held.is_none_or(|held| now >= held + 30_000) {
                    prop_assert!(passes(&admission), "no block for half a minute, now {now}");
                }
            }
            Ok(())
        })
    };
    runner.run(&schedule(), property).unwrap();
}

/// THREAT: a blocked caller floods the table until DynamoDB throttles the key, or only waits for that,
/// and an instance that never saw the block decides from memory.
/// PREVENTION: where the table throttles, an instance that never had an answer for the key admits
/// nobody, in every failure mode: 429, to try again in a second.
#[tokio::test]
async fn security_throttling_admits_no_caller_that_the_instance_does_not_know() {
    for failure_mode in [FailureMode::Memory, FailureMode::Open, FailureMode::Closed] {
        for code in ["ThrottlingException", "ProvisionedThroughputExceededException"] {
            let dynamo = Dynamo::start().await;
            let settings = SharedSettings { failure_mode, ..SETTINGS };
            let limiter = limiter(dynamo.uri(), quota(5), settings).await;
            dynamo.block(&key("alice"), micros(whole_day()));
            dynamo.fail(400, code);
            for _ in 0..4 {
                let refused = admit(&limiter, "alice", start()).await;
                let Outcome::Throttled(_, retry) = refused.outcome else { panic!("{refused:?}") };
                assert_eq!(retry, RetryAfter(1), "{failure_mode:?} {code}");
            }
            assert_eq!(limiter.health(start()).blocks(), Blocks::Enforced, "nobody was admitted");
            dynamo.set(Front::Pass);
            assert!(is_blocked(&admit(&limiter, "alice", start()).await));
        }
    }
}

/// THREAT: blocks do not hold, because an instance decides from memory now and then, and health says
/// that they do.
/// PREVENTION: for a minute after it admitted anybody without the table, it says `known`.
#[tokio::test]
async fn security_health_reports_a_recent_decision_without_the_table() {
    for (status, error) in [(400, "ThrottlingException"), (500, "InternalServerError")] {
        let dynamo = Dynamo::start().await;
        let limiter = instance(&dynamo, quota(5)).await;
        assert!(passes(&admit(&limiter, "alice", start()).await));
        dynamo.fail(status, error);
        let admission = admit(&limiter, "alice", start()).await;
        assert!(passes(&admission), "it had an answer for her: {admission:?}");
        dynamo.set(Front::Pass);
        assert_eq!(admit(&limiter, "alice", start()).await.decided_by, DecidedBy::Table);
        assert_eq!(limiter.health(after(59.9)).blocks(), Blocks::Known, "{error}");
        assert_eq!(limiter.health(after(60.0)).blocks(), Blocks::Enforced, "{error}");
    }
}

#[tokio::test]
async fn health_reports_which_blocks_hold() {
    let dynamo = Dynamo::start().await;
    dynamo.fail(500, "InternalServerError");
    for (failure_mode, in_outage) in [
        (FailureMode::Memory, Blocks::Known),
        (FailureMode::Open, Blocks::Known),
        (FailureMode::Closed, Blocks::Enforced),
    ] {
        let limiter =
            limiter(dynamo.uri(), quota(50), SharedSettings { failure_mode, ..SETTINGS }).await;
        assert_eq!(limiter.health(start()).blocks(), Blocks::Enforced);
        for _ in 0..5 {
            admit(&limiter, "alice", start()).await;
        }
        assert_eq!(limiter.health(start()).blocks(), in_outage, "{failure_mode:?}");
    }
    let here = RateLimiter::<DynamoTable>::in_memory(limits(quota(1)));
    assert_eq!(here.health(start()).blocks(), Blocks::Off);
    let off = Limits { vend: Limit::Off, ..limits(quota(1)) };
    let table = DynamoTable::new(
        &crate::support::sdk_config(dynamo.uri()).await,
        "limits",
        SETTINGS.timeout,
    );
    let unlimited = RateLimiter::shared(off, table, SETTINGS);
    assert_eq!(unlimited.health(start()).blocks(), Blocks::Off);
    let admission = unlimited.admit(sentinel_tvm::Tier::Vend, &user("alice"), start()).await;
    assert_eq!(admission.outcome, Outcome::Uncounted);
}
