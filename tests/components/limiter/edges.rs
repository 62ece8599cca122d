//! One microsecond before and after: where one form of write, one limit or one block ends and the
//! next begins.

use super::{admit, after, instance, key, micros, passes, quota, start, user};
use crate::support::Dynamo;
use sentinel_tvm::{DecidedBy, Form, Step, Tier};

#[test]
fn a_step_applies_between_its_bounds_alone() {
    let step = |form| Step { form, growth: 10, latest: 120 };
    let ahead = |tat| step(Form::Ahead).applied(tat, 100);
    for (tat, expected) in [
        (0, None),
        (99, None),
        (100, None),
        (101, Some(111)),
        (120, Some(130)),
        (121, None),
        (130, None),
    ] {
        assert_eq!(ahead(tat), expected, "{tat}");
    }
    let idle = |tat| step(Form::Idle).applied(tat, 100);
    for (tat, expected) in [(0, Some(110)), (99, Some(110)), (100, Some(110)), (101, None)] {
        assert_eq!(idle(tat), expected, "{tat}");
    }
}

#[tokio::test]
async fn the_last_request_of_a_burst_passes_in_an_instance_that_knows_nothing() {
    let dynamo = Dynamo::start().await;
    let first = instance(&dynamo, quota(5)).await;
    for _ in 0..4 {
        assert!(passes(&admit(&first, "alice", start()).await));
    }
    let second = instance(&dynamo, quota(5)).await;
    let last = admit(&second, "alice", start()).await;
    assert!(passes(&last), "the TAT is the latest that admits: {last:?}");
    assert_eq!(last.writes, 2, "idle, which fails, and then ahead");
    let third = instance(&dynamo, quota(5)).await;
    let refused = admit(&third, "alice", start()).await;
    assert!(!passes(&refused));
    assert_eq!(refused.writes, 1, "the failed write shows it");
}

#[tokio::test]
async fn a_bucket_that_drains_now_is_idle() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    let drained = admit(&limiter, "alice", after(12.0)).await;
    assert_eq!((passes(&drained), drained.writes), (true, 1));
    let not_yet = admit(&limiter, "alice", after(23.999_999)).await;
    assert_eq!((passes(&not_yet), not_yet.writes), (true, 1));
}

#[tokio::test]
async fn a_block_that_has_ended_is_none_whatever_else_fails_the_condition() {
    for ended in [0.0, -1.0] {
        let dynamo = Dynamo::start().await;
        assert!(passes(&admit(&instance(&dynamo, quota(5)).await, "alice", start()).await));
        dynamo.block(&key("alice"), micros(after(ended)));
        let other = instance(&dynamo, quota(5)).await;
        let second = admit(&other, "alice", start()).await;
        assert!(passes(&second), "{ended}: {second:?}");
        assert_eq!(second.writes, 2, "idle fails, because the bucket is not empty");
    }
}

#[tokio::test]
async fn health_is_counted_by_each_instance_alone() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(5)).await;
    let health = limiter.admit(Tier::Health, &user("alice"), start()).await;
    assert_eq!((health.writes, &health.decided_by), (0, &DecidedBy::Memory));
    assert!(dynamo.requests().is_empty());
    let vend = limiter.admit(Tier::Vend, &user("alice"), start()).await;
    assert_eq!((vend.writes, &vend.decided_by), (1, &DecidedBy::Table));
}
