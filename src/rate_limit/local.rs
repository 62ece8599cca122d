//! The local store: what this process knows of each principal's TAT, in a least-recently-used map.
//!
//! Alone it is the whole limiter. Beside a shared table it mirrors every TAT this process has seen there, which makes it
//! the first guess which form of write will succeed, a sound refusal without a write (a TAT in the table only grows), and,
//! when the table is out of reach, the state to go on with.
//!
//! Of each principal two numbers are kept: `table`, the TAT last seen in the table, and `local`, the TAT with what this
//! process has admitted since without the table. Their difference is *owed* to the table, and added to the next write, so that
//! an outage neither gives anyone a new budget nor charges anyone twice. What is owed drains as time passes, as any
//! bucket does.
//!
//! Invariant: never more than `max_keys` entries; the principal that has been quiet longest is forgotten first, and so
//! starts with a fresh budget. It cannot fail: a lock poisoned by a panic elsewhere still guards plain numbers.

use super::gcra::Quota;
use crate::lock::lock;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Mutex;

#[derive(Debug)]
pub(super) struct LocalStore {
    inner: Mutex<Inner>,
    max_keys: NonZeroUsize,
}

#[derive(Debug)]
struct Inner {
    budgets: LruCache<String, Budget>,
    evictions: u64,
    warned: bool,
}

/// Microseconds since the Unix epoch. Invariant: `local >= table`.
#[derive(Debug, Default, Clone, Copy)]
struct Budget {
    table: u64,
    local: u64,
}

impl Budget {
    /// Makes `owed` the part of `local` that the table does not have.
    fn owe(&mut self, owed: u64, now: u64) {
        self.local = self.local.max(self.table);
        if owed > 0 {
            self.local = self.local.max(self.table.max(now).saturating_add(owed));
        }
    }
}

/// How full the local store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Budgets (a principal and a tier) remembered.
    pub keys: usize,
    /// The most that are remembered.
    pub max_keys: usize,
    /// Budgets forgotten for want of room since the start.
    pub evictions: u64,
}

/// What is known before the table is asked.
pub(super) enum Known {
    /// Over the quota in any case, until the TAT held here has drained.
    Refused { tat: u64 },
    /// The table must say. `owed` is now the caller's to write to the table, or to give back.
    Open { table: u64, owed: u64 },
}

impl LocalStore {
    pub(super) fn new(max_keys: NonZeroUsize) -> Self {
        // Not `LruCache::new(max_keys)`: that would allocate the whole table before the first request.
        let inner = Inner { budgets: LruCache::unbounded(), evictions: 0, warned: false };
        Self { inner: Mutex::new(inner), max_keys }
    }

    /// Judges and records one request by what is known here alone: the new TAT, or the microseconds to wait.
    pub(super) fn admit(&self, key: &str, quota: &Quota, now: u64) -> Result<u64, u64> {
        self.update(key, |budget| {
            budget.local = quota.judge(budget.local, now)?;
            Ok(budget.local)
        })
    }

    /// What is known of `key`, before the table is asked.
    pub(super) fn consult(&self, key: &str, quota: &Quota, now: u64) -> Known {
        self.update(key, |budget| {
            if budget.local > quota.latest(now) {
                return Known::Refused { tat: budget.local };
            }
            let owed = budget.local.saturating_sub(budget.table.max(now));
            budget.local -= owed;
            Known::Open { table: budget.table, owed }
        })
    }

    /// Takes over a TAT seen in the table. What is owed meanwhile, by requests running beside, stays owed.
    pub(super) fn learn(&self, key: &str, tat: u64, now: u64) {
        self.update(key, |budget| {
            let owed = budget.local.saturating_sub(budget.table.max(now));
            budget.table = budget.table.max(tat);
            budget.owe(owed, now);
        });
    }

    /// Takes back what `consult` handed out and the table did not get; gives the TAT that results.
    pub(super) fn give_back(&self, key: &str, owed: u64, now: u64) -> u64 {
        self.update(key, |budget| {
            let all = budget.local.saturating_sub(budget.table.max(now)).saturating_add(owed);
            budget.owe(all, now);
            budget.local
        })
    }

    pub(super) fn usage(&self) -> Usage {
        let inner = lock(&self.inner);
        Usage {
            keys: inner.budgets.len(),
            max_keys: self.max_keys.get(),
            evictions: inner.evictions,
        }
    }

    /// Changes the budget of `key`, which thereby counts as the one used last.
    fn update<R>(&self, key: &str, change: impl FnOnce(&mut Budget) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = change(inner.budgets.get_or_insert_mut_ref(key, Budget::default));
        inner.keep_bound(self.max_keys);
        result
    }
}

impl Inner {
    fn keep_bound(&mut self, max_keys: NonZeroUsize) {
        if self.budgets.len() > max_keys.get() {
            self.budgets.pop_lru();
            self.evictions += 1;
        }
        if !self.warned && self.budgets.len() * 5 >= max_keys.get() * 4 {
            self.warned = true;
            tracing::warn!(
                max_keys,
                "the limiter's local store is 80 % full; when full it forgets the principals idle longest"
            );
        }
    }
}

#[cfg(test)]
mod tests;
