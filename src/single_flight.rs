//! One attempt at a time, shared by everyone who needs its result.
//!
//! No lock is held while an attempt runs. An attempt older than `abandoned_after` no longer counts:
//! those who waited for it have given up, or the process was frozen in the middle of it. The next
//! caller then begins another one. Attempts are numbered, so that the result of an older one never
//! replaces the result of a newer one.

use crate::clock::age;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use time::{Duration, UtcDateTime};

/// A running attempt that many can wait for.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The attempt that runs now, if any.
pub(crate) struct SingleFlight<T: Clone> {
    running: Option<(Flight<T>, UtcDateTime)>,
    latest: Attempt,
    abandoned_after: Duration,
}

/// The number of an attempt, in order of their begin. The default precedes all of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt(u64);

impl<T: Clone> SingleFlight<T> {
    /// Attempts are expected to end before `abandoned_after`.
    pub(crate) fn new(abandoned_after: Duration) -> Self {
        Self { running: None, latest: Attempt::default(), abandoned_after }
    }

    /// Returns the running attempt, or the new one that `begin` makes.
    pub(crate) fn join(
        &mut self,
        now: UtcDateTime,
        begin: impl FnOnce(Attempt) -> BoxFuture<'static, T>,
    ) -> Flight<T> {
        if let Some((flight, since)) = &self.running
            && age(*since, now) < self.abandoned_after
        {
            return flight.clone();
        }
        self.latest = Attempt(self.latest.0 + 1);
        let flight = begin(self.latest).shared();
        self.running = Some((flight.clone(), now));
        flight
    }

    /// Records that an attempt has ended.
    pub(crate) fn ended(&mut self, attempt: Attempt) {
        if attempt == self.latest {
            self.running = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_takes_too_long_is_replaced_by_a_newer_one() {
        let mut flight = SingleFlight::new(Duration::seconds(4));
        let mut attempts = Vec::new();
        let start = UtcDateTime::UNIX_EPOCH;
        for seconds in [0, 3, 4, 5] {
            drop(flight.join(start + Duration::seconds(seconds), |attempt| {
                attempts.push(attempt);
                async {}.boxed()
            }));
        }
        let [held_up, later] = attempts[..] else {
            panic!("the second and the fourth caller joined: {attempts:?}")
        };
        assert!(Attempt::default() < held_up && held_up < later);
        flight.ended(held_up);
        assert!(flight.running.is_some(), "the later one still runs");
        flight.ended(later);
        assert!(flight.running.is_none());
    }

    #[test]
    fn a_clock_set_back_does_not_make_an_attempt_last_forever() {
        let mut flight = SingleFlight::new(Duration::seconds(4));
        let mut begun = 0;
        for seconds in [3_600, 0] {
            drop(flight.join(UtcDateTime::UNIX_EPOCH + Duration::seconds(seconds), |_| {
                begun += 1;
                async {}.boxed()
            }));
        }
        assert_eq!(begun, 2);
    }
}
