//! The windows of a quota: a short one, and for some tiers a day beside it.
//!
//! Invariant: a request is admitted if every window admits it, and then all are charged; a request
//! that one window refuses is charged to none. Pure.

use super::gcra::Quota;

/// A value for each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows<T> {
    /// Of the short window.
    pub short: T,
    /// Of the day; `None` if the day has no limit.
    pub day: Option<T>,
}

impl<T> Windows<T> {
    pub(super) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Windows<U> {
        Windows { short: change(self.short), day: self.day.map(change) }
    }

    /// Pairs, for the windows that both have.
    pub(super) fn zip<U>(self, other: Windows<U>) -> Windows<(T, U)> {
        Windows { short: (self.short, other.short), day: self.day.zip(other.day) }
    }

    /// The short window's value, then the day's.
    pub fn iter(self) -> impl Iterator<Item = T> {
        std::iter::once(self.short).chain(self.day)
    }
}

impl Windows<Quota> {
    /// The new TATs if every window admits a request, else the old ones.
    pub(super) fn judge(self, tats: Windows<u64>, now: u64) -> Result<Windows<u64>, Windows<u64>> {
        let judged = self.zip(tats).map(|(quota, tat)| quota.judge(tat, now));
        match (judged.short, judged.day.transpose()) {
            (Ok(short), Ok(day)) => Ok(Windows { short, day }),
            _ => Err(tats),
        }
    }

    /// Microseconds until every window admits a request; 0 if all do.
    pub(super) fn over(self, tats: Windows<u64>, now: u64) -> u64 {
        let over = |(quota, tat): (Quota, u64)| tat.saturating_sub(quota.latest(now));
        self.zip(tats).iter().map(over).max().unwrap_or(0)
    }

    /// The moment, in whole seconds since the Unix epoch, from which no window remembers anything
    /// of what happened until `now`.
    pub(super) fn idle_from(self, now: u64) -> u64 {
        let end = |quota: Quota| quota.latest(now) + quota.interval();
        self.iter().map(end).max().unwrap_or(now).div_ceil(1_000_000)
    }
}
