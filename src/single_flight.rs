//! One errand at a time, however many wait for it.
//!
//! No lock is held while it is under way. An errand that began too long ago has been given up by those who waited for it, or the
//! process was frozen in the middle of it: the next one who comes begins another.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use time::{Duration, UtcDateTime};

/// The errand under way, if there is one.
pub(crate) struct SingleFlight<T: Clone> {
    under_way: Option<(Shared<BoxFuture<'static, T>>, UtcDateTime)>,
    abandoned_after: Duration,
}

impl<T: Clone> SingleFlight<T> {
    /// One whose errands take less than `abandoned_after`.
    pub(crate) fn new(abandoned_after: Duration) -> Self {
        Self { under_way: None, abandoned_after }
    }

    /// The errand under way, or the one that `begin` makes.
    pub(crate) fn join(
        &mut self,
        now: UtcDateTime,
        begin: impl FnOnce() -> BoxFuture<'static, T>,
    ) -> Shared<BoxFuture<'static, T>> {
        if let Some((errand, since)) = &self.under_way
            && now - *since < self.abandoned_after
        {
            return errand.clone();
        }
        let errand = begin().shared();
        self.under_way = Some((errand.clone(), now));
        errand
    }

    /// Notes that the errand which began at `since` is over. Another may have begun meanwhile, if that one was held up.
    pub(crate) fn done(&mut self, since: UtcDateTime) {
        self.under_way = self.under_way.take().filter(|(_, began)| *began != since);
    }
}
