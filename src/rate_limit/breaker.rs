//! The circuit breaker: whether the shared store is worth asking.
//!
//! Closed: it is asked. After `failure_threshold` failures in a row: open, and it is not asked for `reset`. Then half-open: at
//! most `half_open_requests` probes may ask; if that many succeed it closes, and the first that fails opens it again for the
//! whole time. Probes that never report are replaced after another `reset`.
//!
//! Invariant: time is `now` of the request at hand, so a process frozen for an hour judges rightly at its next request. Every
//! transition is logged once and counted.

use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// When the breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// Seconds that it stays open.
    pub reset_seconds: u32,
    /// Probes that must succeed to close it.
    pub half_open_requests: u32,
}

/// What the breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// The store is asked.
    Closed,
    /// The store is not asked.
    Open,
    /// The store is being probed.
    HalfOpen,
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    inner: Mutex<Inner>,
}

#[derive(Debug, Clone, Copy)]
struct Inner {
    state: State,
    transitions: u64,
}

/// Times in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { since: u64 },
    HalfOpen { since: u64, probes: u32, successes: u32 },
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            inner: Mutex::new(Inner { state: State::Closed { failures: 0 }, transitions: 0 }),
        }
    }

    /// Whether a request at `now` may ask the store. Whoever may must report `succeeded` or `failed`.
    pub(super) fn permits(&self, now: u64) -> bool {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => true,
            State::Open { since } if !self.is_over(since, now) => false,
            State::Open { .. } => {
                inner.become_(State::HalfOpen { since: now, probes: 1, successes: 0 });
                true
            }
            State::HalfOpen { since, probes, successes } => {
                let stale = self.is_over(since, now);
                let permitted = stale || probes < self.settings.half_open_requests;
                if permitted {
                    let (since, probes) =
                        if stale { (now, successes + 1) } else { (since, probes + 1) };
                    inner.state = State::HalfOpen { since, probes, successes };
                }
                permitted
            }
        }
    }

    /// The store answered.
    pub(super) fn succeeded(&self) {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => inner.state = State::Closed { failures: 0 },
            State::Open { .. } => {}
            State::HalfOpen { since, probes, successes } => {
                let successes = successes + 1;
                if successes >= self.settings.half_open_requests {
                    inner.become_(State::Closed { failures: 0 });
                } else {
                    inner.state = State::HalfOpen { since, probes, successes };
                }
            }
        }
    }

    /// The store did not answer the request of `now`.
    pub(super) fn failed(&self, now: u64) {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { failures } if failures + 1 < self.settings.failure_threshold => {
                inner.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } | State::HalfOpen { .. } => {
                inner.become_(State::Open { since: now })
            }
            State::Open { .. } => {}
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        self.lock().state.name()
    }

    pub(super) fn transitions(&self) -> u64 {
        self.lock().transitions
    }

    fn is_over(&self, since: u64, now: u64) -> bool {
        now.saturating_sub(since) >= u64::from(self.settings.reset_seconds) * 1_000_000
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn become_(&mut self, next: State) {
        let (from, to) = (self.state.name(), next.name());
        self.state = next;
        self.transitions += 1;
        match to {
            BreakerState::Open => tracing::warn!(
                ?from,
                ?to,
                "the limiter's breaker opens: DynamoDB is not asked for a while"
            ),
            BreakerState::HalfOpen => {
                tracing::info!(?from, ?to, "the limiter's breaker probes DynamoDB")
            }
            BreakerState::Closed => {
                tracing::info!(?from, ?to, "the limiter's breaker closes: DynamoDB decides again")
            }
        }
    }
}

impl State {
    fn name(self) -> BreakerState {
        match self {
            Self::Closed { .. } => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings {
            failure_threshold: 5,
            reset_seconds: 30,
            half_open_requests: 3,
        })
    }

    fn opened_at(now: u64) -> Breaker {
        let breaker = breaker();
        for _ in 0..5 {
            assert!(breaker.permits(now));
            breaker.failed(now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let breaker = breaker();
        for _ in 0..20 {
            for _ in 0..4 {
                breaker.failed(0);
            }
            breaker.succeeded();
        }
        assert_eq!((breaker.state(), breaker.transitions()), (BreakerState::Closed, 0));
        opened_at(0);
    }

    #[test]
    fn it_stays_open_for_the_whole_time_whatever_late_answers_say() {
        let breaker = opened_at(100 * SECOND);
        breaker.succeeded();
        breaker.failed(120 * SECOND);
        assert!(!breaker.permits(130 * SECOND - 1));
        assert!(breaker.permits(130 * SECOND));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn half_open_lets_three_probes_through_and_closes_when_all_succeed() {
        let breaker = opened_at(0);
        let permitted = (0..10).filter(|_| breaker.permits(30 * SECOND)).count();
        assert_eq!(permitted, 3);
        for _ in 0..3 {
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            breaker.succeeded();
        }
        assert_eq!((breaker.state(), breaker.transitions()), (BreakerState::Closed, 3));
    }

    #[test]
    fn one_failed_probe_opens_it_again_for_the_whole_time() {
        let breaker = opened_at(0);
        assert!(breaker.permits(30 * SECOND) && breaker.permits(30 * SECOND));
        breaker.succeeded();
        breaker.failed(31 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.permits(61 * SECOND - 1));
        assert!(breaker.permits(61 * SECOND));
    }

    #[test]
    fn probes_that_never_report_are_replaced() {
        let breaker = opened_at(0);
        assert_eq!((0..10).filter(|_| breaker.permits(30 * SECOND)).count(), 3);
        breaker.succeeded();
        assert!(!breaker.permits(59 * SECOND));
        assert_eq!(
            (0..10).filter(|_| breaker.permits(60 * SECOND)).count(),
            2,
            "one had succeeded"
        );
    }

    #[test]
    fn a_clock_that_steps_back_keeps_it_open() {
        assert!(!opened_at(100 * SECOND).permits(50 * SECOND));
    }
}
