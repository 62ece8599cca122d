//! A table that fails: what decides instead, how long it takes, and when the breaker opens.

use super::{SETTINGS, admit, after, instance, limiter, passes, quota, start};
use crate::support::Dynamo;
use crate::support::dynamo::Front;
use sentinel_tvm::{
    Admission, Backend, BreakerState, DecidedBy, Degraded, FailureMode, Outcome, RateLimiter,
    SharedSettings, StoreError,
};
use std::time::Duration;

fn breaker(limiter: &RateLimiter) -> (BreakerState, u64) {
    match limiter.health(start()).backend {
        Backend::Shared { breaker, transitions, .. } => (breaker, transitions),
        Backend::Memory => panic!("there is a table"),
    }
}

fn degraded(admission: &Admission) -> &Degraded {
    match &admission.decided_by {
        DecidedBy::Fallback(_, why) => why,
        other => panic!("the table decided: {other:?}"),
    }
}

/// Sends until the fall-back refuses, and checks that it refused at the quota, of which `used` is
/// used, and that the breaker is as expected.
async fn decided_locally(limiter: &RateLimiter, error: &StoreError, used: u32, opens: bool) {
    for turn in used..6 {
        let admission = admit(limiter, "alice", start()).await;
        assert_eq!(passes(&admission), turn < 5, "request {turn} of {error:?}");
        if turn < 5 {
            assert_eq!(degraded(&admission), &Degraded::Store(error.clone()));
        }
    }
    let expected = if opens { (BreakerState::Open, 1) } else { (BreakerState::Closed, 0) };
    assert_eq!(breaker(limiter), expected, "{error:?}");
}

#[tokio::test]
async fn each_class_of_failure_falls_back_and_only_outages_open_the_breaker() {
    let unreachable = |cause: &str| StoreError::Unreachable(cause.to_owned());
    for (status, code, error, opens) in [
        (500, "InternalServerError", unreachable("InternalServerError"), true),
        (503, "ServiceUnavailable", unreachable("ServiceUnavailable"), true),
        (
            400,
            "ThrottlingException",
            StoreError::Throttled("ThrottlingException".to_owned()),
            false,
        ),
        (
            400,
            "ProvisionedThroughputExceededException",
            StoreError::Throttled("ProvisionedThroughputExceededException".to_owned()),
            false,
        ),
        (
            400,
            "KeyRangeThroughputExceededException",
            StoreError::Throttled("KeyRangeThroughputExceededException".to_owned()),
            false,
        ),
        (
            400,
            "AccessDeniedException",
            StoreError::Misconfigured("AccessDeniedException".to_owned()),
            true,
        ),
        (
            400,
            "ResourceNotFoundException",
            StoreError::Misconfigured("ResourceNotFoundException".to_owned()),
            true,
        ),
        (
            400,
            "ValidationException",
            StoreError::Misconfigured("ValidationException".to_owned()),
            true,
        ),
    ] {
        let dynamo = Dynamo::start().await;
        let limiter = instance(&dynamo, quota(5)).await;
        // An instance decides about throttled principals if it knows them.
        let used = u32::from(!opens);
        for _ in 0..used {
            assert!(passes(&admit(&limiter, "alice", start()).await));
        }
        dynamo.fail(status, code);
        decided_locally(&limiter, &error, used, opens).await;
    }
}

#[tokio::test]
async fn malformed_answers_are_failures() {
    for body in [
        "",
        "{}",
        "<html>",
        r#"{"Attributes":{"TAT":{"S":"x"}}}"#,
        r#"{"Attributes":{"TAT":{"N":"-1"}}}"#,
    ] {
        let dynamo = Dynamo::start().await;
        dynamo.set(Front::Answer(200, body.to_owned()));
        let limiter = instance(&dynamo, quota(5)).await;
        let error = StoreError::Unreachable("a malformed reply".to_owned());
        decided_locally(&limiter, &error, 0, true).await;
    }
}

#[tokio::test]
async fn a_table_that_hangs_costs_the_time_out_until_the_breaker_opens() {
    let dynamo = Dynamo::start().await;
    dynamo.set(Front::Hang);
    let timeout = Duration::from_millis(200);
    let limiter = limiter(dynamo.uri(), quota(50), SharedSettings { timeout, ..SETTINGS }).await;
    for _ in 0..5 {
        let admission =
            tokio::time::timeout(SETTINGS.timeout, admit(&limiter, "alice", start())).await;
        let admission = admission.expect("an answer long before the table gives one");
        assert!(passes(&admission));
        assert_eq!(
            degraded(&admission),
            &Degraded::Store(StoreError::Unreachable("time-out".to_owned()))
        );
    }
    dynamo.requests();
    let admission = admit(&limiter, "alice", start()).await;
    assert_eq!(degraded(&admission), &Degraded::BreakerOpen);
    assert!(dynamo.requests().is_empty(), "the table gets no request");
}

#[tokio::test]
async fn a_refused_connection_is_an_outage() {
    let limiter = limiter("http://127.0.0.1:1", quota(5), SETTINGS).await;
    decided_locally(&limiter, &StoreError::Unreachable("no connection".to_owned()), 0, true).await;
}

#[tokio::test]
async fn one_hot_principal_does_not_open_the_breaker_for_the_others() {
    let dynamo = Dynamo::start().await;
    let limiter = instance(&dynamo, quota(100)).await;
    assert!(passes(&admit(&limiter, "alice", start()).await));
    dynamo.set(Front::Throttle(super::key("alice")));
    for _ in 0..50 {
        assert!(passes(&admit(&limiter, "alice", start()).await));
        assert_eq!(admit(&limiter, "bob", start()).await.decided_by, DecidedBy::Table);
    }
    assert_eq!(breaker(&limiter), (BreakerState::Closed, 0));
}

#[tokio::test]
async fn the_failure_mode_decides_during_an_outage() {
    let dynamo = Dynamo::start().await;
    dynamo.fail(500, "InternalServerError");
    for (failure_mode, expected) in
        [(FailureMode::Open, Outcome::Uncounted), (FailureMode::Closed, Outcome::Unavailable)]
    {
        let settings = SharedSettings { failure_mode, ..SETTINGS };
        let limiter = limiter(dynamo.uri(), quota(1), settings).await;
        for _ in 0..10 {
            assert_eq!(admit(&limiter, "alice", start()).await.outcome, expected);
        }
    }
}

#[tokio::test]
async fn the_breaker_probes_after_its_reset_time_and_closes_when_the_table_answers() {
    let dynamo = Dynamo::start().await;
    dynamo.fail(500, "InternalServerError");
    let limiter = instance(&dynamo, quota(100)).await;
    for _ in 0..5 {
        admit(&limiter, "alice", start()).await;
    }
    assert_eq!(breaker(&limiter), (BreakerState::Open, 1));
    admit(&limiter, "alice", after(30.0)).await;
    assert_eq!(breaker(&limiter), (BreakerState::Open, 3), "the probe failed");
    dynamo.set(Front::Pass);
    assert_eq!(degraded(&admit(&limiter, "alice", after(89.9)).await), &Degraded::BreakerOpen);
    for _ in 0..3 {
        assert_eq!(admit(&limiter, "alice", after(90.0)).await.decided_by, DecidedBy::Table);
    }
    assert_eq!(breaker(&limiter), (BreakerState::Closed, 5));
}
