//! Waiting times, and clocks that differ, over two limiters on one table.

use super::{admit, after, instance, passes, quota, start};
use crate::support::Dynamo;
use sentinel_tvm::{Outcome, RetryAfter};

#[tokio::test]
async fn after_the_retry_after_any_instance_admits() {
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
async fn a_clock_that_is_ahead_admits_no_more_than_its_lead() {
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
