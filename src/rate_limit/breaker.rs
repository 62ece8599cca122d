//! The circuit breaker in front of the shared store.
//!
//! | state | requests | changes to |
//! |---|---|---|
//! | closed | reach the store | open, after `failure_threshold` failures in a row |
//! | open | do not reach the store | half-open, after its wait |
//! | half-open | at most `half_open_requests` probes reach the store | closed if that many succeed; open at the first failure |
//!
//! The wait is `reset_seconds` at first. It doubles each time that a probe fails, up to
//! `max_reset_seconds`; closing sets it back. Probes that never report are replaced after another
//! `reset_seconds`.
//!
//! Invariant: the time is the `now` of the current request, so a process that was frozen for an
//! hour decides correctly at its next request. Every transition is logged and counted once.

use crate::clock::age_micros;
use crate::lock::lock;
use serde::Serialize;
use std::sync::Mutex;
use time::Duration;

/// The settings of the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// Seconds that it stays open at first.
    pub reset_seconds: u32,
    /// The most seconds that it stays open, however often its probes have failed.
    pub max_reset_seconds: u32,
    /// Probes that must succeed to close it.
    pub half_open_requests: u32,
}

/// The breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Requests reach the store.
    Closed,
    /// No request reaches the store.
    Open,
    /// A few requests probe the store.
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
    /// How often it has opened since it was last closed.
    openings: u32,
    transitions: u64,
}

/// Times in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    /// Until `wait` seconds after `since`.
    Open {
        since: u64,
        wait: u32,
    },
    HalfOpen {
        since: u64,
        probes: u32,
        successes: u32,
    },
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            inner: Mutex::new(Inner {
                state: State::Closed { failures: 0 },
                openings: 0,
                transitions: 0,
            }),
        }
    }

    /// Whether a request at `now` may reach the store. If so, it must report `succeeded` or
    /// `failed`.
    pub(super) fn permits(&self, now: u64) -> bool {
        let mut inner = lock(&self.inner);
        match inner.state {
            State::Closed { .. } => true,
            State::Open { since, wait } if !is_over(wait, since, now) => false,
            State::Open { .. } => {
                inner.transition_to(State::HalfOpen { since: now, probes: 1, successes: 0 });
                true
            }
            State::HalfOpen { since, probes, successes } => {
                let stale = is_over(self.wait(1), since, now);
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
        let mut inner = lock(&self.inner);
        match inner.state {
            State::Closed { .. } => inner.state = State::Closed { failures: 0 },
            State::Open { .. } => {}
            State::HalfOpen { since, probes, successes } => {
                let successes = successes + 1;
                if successes >= self.settings.half_open_requests {
                    inner.transition_to(State::Closed { failures: 0 });
                } else {
                    inner.state = State::HalfOpen { since, probes, successes };
                }
            }
        }
    }

    /// The store did not answer the request of `now`.
    pub(super) fn failed(&self, now: u64) {
        let mut inner = lock(&self.inner);
        match inner.state {
            State::Closed { failures } if failures + 1 < self.settings.failure_threshold => {
                inner.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } | State::HalfOpen { .. } => {
                inner.openings = inner.openings.saturating_add(1);
                let wait = self.wait(inner.openings);
                inner.transition_to(State::Open { since: now, wait });
            }
            State::Open { .. } => {}
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        lock(&self.inner).state.name()
    }

    pub(super) fn transitions(&self) -> u64 {
        lock(&self.inner).transitions
    }

    /// Whether the store answered the last request that asked it; also before the first one.
    pub(super) fn is_healthy(&self) -> bool {
        matches!(lock(&self.inner).state, State::Closed { failures: 0 })
    }

    /// The wait, in seconds, after so many openings in a row.
    fn wait(&self, openings: u32) -> u32 {
        let doubled = 2_u32.saturating_pow(openings.saturating_sub(1));
        self.settings.reset_seconds.saturating_mul(doubled).min(self.settings.max_reset_seconds)
    }
}

fn is_over(seconds: u32, since: u64, now: u64) -> bool {
    age_micros(since, now) >= Duration::seconds(seconds.into())
}

impl Inner {
    fn transition_to(&mut self, next: State) {
        let (from, to) = (self.state.name(), next.name());
        self.state = next;
        self.transitions += 1;
        match next {
            State::Open { wait, .. } => tracing::warn!(
                ?from,
                ?to,
                wait_seconds = wait,
                "the limiter's breaker opens: DynamoDB is not asked for a while"
            ),
            State::HalfOpen { .. } => {
                tracing::info!(?from, ?to, "the limiter's breaker probes DynamoDB");
            }
            State::Closed { .. } => {
                self.openings = 0;
                tracing::info!(?from, ?to, "the limiter's breaker closes: DynamoDB decides again");
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
            max_reset_seconds: 100,
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
    fn each_failed_probe_doubles_the_wait_up_to_its_bound_and_closing_sets_it_back() {
        let breaker = opened_at(0);
        let mut now = 30 * SECOND;
        for wait in [60, 100, 100, 100] {
            assert!(breaker.permits(now) && breaker.permits(now));
            breaker.succeeded();
            breaker.failed(now);
            assert_eq!(breaker.state(), BreakerState::Open);
            assert!(!breaker.permits(now + wait * SECOND - 1), "{wait}");
            now += wait * SECOND;
        }
        for _ in 0..3 {
            assert!(breaker.permits(now));
            breaker.succeeded();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        for _ in 0..5 {
            breaker.failed(now);
        }
        assert!(!breaker.permits(now + 30 * SECOND - 1));
        assert!(breaker.permits(now + 30 * SECOND), "the first wait again");
    }

    #[test]
    fn a_number_of_openings_that_does_not_fit_keeps_the_longest_wait() {
        assert_eq!(
            [0, 1, 2, 33, u32::MAX].map(|openings| breaker().wait(openings)),
            [30, 30, 60, 100, 100]
        );
    }

    #[test]
    fn it_is_healthy_until_a_request_fails_and_again_when_one_succeeds() {
        let breaker = breaker();
        assert!(breaker.is_healthy());
        breaker.failed(0);
        assert!(!breaker.is_healthy() && breaker.state() == BreakerState::Closed);
        breaker.succeeded();
        assert!(breaker.is_healthy());
        assert!(!opened_at(0).is_healthy());
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
    fn a_clock_set_back_does_not_keep_it_open() {
        assert!(!opened_at(100 * SECOND).permits(80 * SECOND), "clocks may differ by seconds");
        assert!(opened_at(100 * SECOND).permits(50 * SECOND), "nobody knows for how long");
    }
}
