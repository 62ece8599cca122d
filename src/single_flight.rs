//! One errand at a time, however many wait for it.
//!
//! No lock is held while it is under way. An errand that began too long ago has been given up by those who waited for it, or the
//! process was frozen in the middle of it: the next one who comes begins another. Invariant: of two that are then under way, only
//! the later counts, whenever they come back.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use time::{Duration, UtcDateTime};

/// The errand under way, if there is one.
pub(crate) struct SingleFlight<T: Clone> {
    under_way: Option<(Shared<BoxFuture<'static, T>>, UtcDateTime)>,
    begun: Errand,
    abandoned_after: Duration,
}

/// Which errand it is: the first, the second …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errand(u64);

/// What an errand's result is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// No other has begun since.
    Latest,
    /// Another has begun since, whose result counts.
    Overtaken,
}

impl<T: Clone> SingleFlight<T> {
    /// One whose errands take less than `abandoned_after`.
    pub(crate) fn new(abandoned_after: Duration) -> Self {
        Self { under_way: None, begun: Errand(0), abandoned_after }
    }

    /// The errand under way, or the one that `begin` makes.
    pub(crate) fn join(
        &mut self,
        now: UtcDateTime,
        begin: impl FnOnce(Errand) -> BoxFuture<'static, T>,
    ) -> Shared<BoxFuture<'static, T>> {
        if let Some((errand, since)) = &self.under_way
            && (now - *since).abs() < self.abandoned_after
        {
            return errand.clone();
        }
        self.begun = Errand(self.begun.0 + 1);
        let errand = begin(self.begun).shared();
        self.under_way = Some((errand.clone(), now));
        errand
    }

    /// Notes that an errand is back.
    pub(crate) fn done(&mut self, errand: Errand) -> Arrival {
        if errand == self.begun {
            self.under_way = None;
            Arrival::Latest
        } else {
            Arrival::Overtaken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_held_up_does_not_undo_a_later_one() {
        let mut flight = SingleFlight::new(Duration::seconds(4));
        let mut errands = Vec::new();
        let start = UtcDateTime::UNIX_EPOCH;
        for seconds in [0, 3, 4, 5] {
            drop(flight.join(start + Duration::seconds(seconds), |errand| {
                errands.push(errand);
                async {}.boxed()
            }));
        }
        let [held_up, later] = errands[..] else { panic!("the second and the fourth joined: {errands:?}") };
        assert_eq!(flight.done(later), Arrival::Latest);
        assert_eq!(flight.done(held_up), Arrival::Overtaken);
    }

    #[test]
    fn a_clock_set_back_does_not_make_an_errand_last_for_ever() {
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
