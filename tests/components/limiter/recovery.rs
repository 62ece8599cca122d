//! An outage in the middle: nobody's budget is reset, lost or charged twice.

use super::{admit, after, instance, key, micros, passes, quota, start};
use crate::support::Dynamo;
use crate::support::dynamo::Front;
use sentinel_tvm::DecidedBy;

#[tokio::test]
async fn what_the_table_knew_goes_on_in_memory() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(10)).await;
    for _ in 0..6 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.fail(500, "InternalServerError");
    let mut admitted = 0;
    for _ in 0..10 {
        admitted += usize::from(passes(&admit(&limiter, "alice", start()).await));
    }
    assert_eq!(admitted, 4, "the budget of 10 goes on, it does not start anew");
}

#[tokio::test]
async fn what_was_admitted_in_memory_is_owed_to_the_table_and_paid_once() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(10)).await;
    for _ in 0..3 {
        admit(&limiter, "alice", start()).await;
    }
    dynamo.fail(500, "InternalServerError");
    for _ in 0..4 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    assert_eq!(dynamo.tat(&key("alice")), micros(start()) + 3 * 6_000_000);
    dynamo.set(Front::Pass);
    let admission = admit(&limiter, "alice", start()).await;
    assert!(
        passes(&admission) && admission.decided_by == DecidedBy::Table && admission.writes == 1
    );
    assert_eq!(
        dynamo.tat(&key("alice")),
        micros(start()) + 8 * 6_000_000,
        "3 before, 4 owed, 1 now"
    );
    assert!(passes(&admit(&limiter, "alice", start()).await));
    assert_eq!(
        dynamo.tat(&key("alice")),
        micros(start()) + 9 * 6_000_000,
        "what was owed is paid once"
    );
}

#[tokio::test]
async fn several_instances_pay_what_each_admitted() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(10)).await, instance(&dynamo, quota(10)).await];
    dynamo.fail(500, "InternalServerError");
    for _ in 0..3 {
        assert!(passes(&admit(&one, "alice", start()).await));
        assert!(passes(&admit(&other, "alice", start()).await));
    }
    dynamo.set(Front::Pass);
    assert!(passes(&admit(&one, "alice", start()).await));
    assert!(passes(&admit(&other, "alice", start()).await));
    assert_eq!(dynamo.tat(&key("alice")), micros(start()) + 8 * 6_000_000);
}

#[tokio::test]
async fn a_refusal_keeps_what_is_owed() {
    let dynamo = Dynamo::start().await;
    let [one, other] = [instance(&dynamo, quota(10)).await, instance(&dynamo, quota(10)).await];
    dynamo.fail(500, "InternalServerError");
    for _ in 0..4 {
        admit(&one, "alice", start()).await;
    }
    dynamo.set(Front::Pass);
    for _ in 0..7 {
        assert!(passes(&admit(&other, "alice", start()).await));
    }
    assert!(
        !passes(&admit(&one, "alice", start()).await),
        "7 in the table and 4 owed leave no room"
    );
    assert!(!passes(&admit(&one, "alice", after(11.9)).await));
    assert!(
        passes(&admit(&one, "alice", after(12.0)).await),
        "two intervals later there is room for one"
    );
    assert_eq!(dynamo.tat(&key("alice")), micros(start()) + 12 * 6_000_000);
}

#[tokio::test]
async fn what_is_owed_drains_while_the_table_is_away() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(10)).await;
    dynamo.fail(400, "ThrottlingException");
    for _ in 0..10 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.set(Front::Pass);
    let an_hour_later = after(3_600.0);
    assert!(passes(&admit(&limiter, "alice", an_hour_later).await));
    assert_eq!(
        dynamo.tat(&key("alice")),
        micros(an_hour_later) + 6_000_000,
        "an hour's rest pays any debt"
    );
}
