//! One errand at a time, however many wait for it.
//!
//! No lock is held while it is under way. An errand that began too long ago has been given up by those who waited for it, or the
//! process was frozen in the middle of it: the next one who comes begins another. Errands have numbers, so that whoever keeps what
//! they bring can tell the older from the newer, whenever they come back.

use crate::age::age;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use time::{Duration, UtcDateTime};

/// The errand under way, if there is one.
pub(crate) struct SingleFlight<T: Clone> {
    under_way: Option<(Shared<BoxFuture<'static, T>>, UtcDateTime)>,
    begun: Errand,
    abandoned_after: Duration,
}

/// Which errand it is, in the order in which they began. The default is before all of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Errand(u64);

impl<T: Clone> SingleFlight<T> {
    /// One whose errands take less than `abandoned_after`.
    pub(crate) fn new(abandoned_after: Duration) -> Self {
        Self { under_way: None, begun: Errand::default(), abandoned_after }
    }

    /// The errand under way, or the one that `begin` makes.
    pub(crate) fn join(
        &mut self,
        now: UtcDateTime,
        begin: impl FnOnce(Errand) -> BoxFuture<'static, T>,
    ) -> Shared<BoxFuture<'static, T>> {
        if let Some((errand, since)) = &self.under_way
            && age(*since, now) < self.abandoned_after
        {
            return errand.clone();
        }
        self.begun = Errand(self.begun.0 + 1);
        let errand = begin(self.begun).shared();
        self.under_way = Some((errand.clone(), now));
        errand
    }

    /// Notes that an errand is back.
    pub(crate) fn done(&mut self, errand: Errand) {
        if errand == self.begun {
            self.under_way = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_takes_too_long_is_not_waited_for_and_is_the_older() {
        let mut flight = SingleFlight::new(Duration::seconds(4));
        let mut errands = Vec::new();
        let start = UtcDateTime::UNIX_EPOCH;
        for seconds in [0, 3, 4, 5] {
            drop(flight.join(start + Duration::seconds(seconds), |errand| {
                errands.push(errand);
                async {}.boxed()
            }));
        }
        let [held_up, later] = errands[..] else {
            panic!("the second and the fourth joined: {errands:?}")
        };
        assert!(Errand::default() < held_up && held_up < later);
        flight.done(held_up);
        assert!(flight.under_way.is_some(), "the later one still is");
        flight.done(later);
        assert!(flight.under_way.is_none());
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
