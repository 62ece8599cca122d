//! An outage of the table: no quota is reset, lost or charged twice.

use super::{admit, after, instance, key, micros, passes, quota, start};
use crate::support::Dynamo;
use crate::support::dynamo::Front;
use sentinel_tvm::DecidedBy;

#[tokio::test]
async fn in_an_outage_the_quota_continues_from_the_last_known_state() {
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
    assert_eq!(admitted, 4, "the quota of 10 continues, it does not start again");
}

#[tokio::test]
async fn requests_admitted_in_an_outage_are_written_to_the_table_once() {
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
        "the debt is written once"
    );
}

#[tokio::test]
async fn each_instance_writes_its_own_debt_after_an_outage() {
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
async fn a_refusal_keeps_the_debt_of_an_outage() {
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
async fn the_debt_of_an_outage_drains_with_time() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(10)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    dynamo.fail(400, "ThrottlingException");
    for _ in 0..9 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.set(Front::Pass);
    let an_hour_later = after(3_600.0);
    assert!(passes(&admit(&limiter, "alice", an_hour_later).await));
    assert_eq!(
        dynamo.tat(&key("alice")),
        micros(an_hour_later) + 6_000_000,
        "after an hour no debt is left"
    );
}

/// THREAT: while one request waits for a table that does not answer, it holds what its principal owes, and
/// requests beside it find an empty bucket: in an outage a caller gets a fresh quota with every such wait.
/// PREVENTION: what a waiting request holds still counts against the quota.
#[tokio::test]
async fn security_a_request_that_waits_for_the_table_frees_no_quota() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(10)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    dynamo.fail(400, "ThrottlingException");
    for _ in 0..8 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
    }
    dynamo.requests();
    dynamo.set(Front::Hang);
    let waiting = admit(&limiter, "alice", start());
    let beside = async {
        while dynamo.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        dynamo.fail(400, "ThrottlingException");
        let mut admitted = 0;
        for _ in 0..10 {
            admitted += usize::from(passes(&admit(&limiter, "alice", start()).await));
        }
        admitted
    };
    let admitted = tokio::select! {
        admitted = beside => admitted,
        _ = waiting => panic!("it waits"),
    };
    assert!(admitted <= 1, "9 of 10 are used, and {admitted} more pass");
}
