//! The local store: each principal's TAT as this process knows it, in a least-recently-used map.
//!
//! Without a shared table it is the whole limiter. Beside one, it mirrors every TAT that this
//! process has seen there, and serves three purposes: it suggests which form of write to try first;
//! it refuses without a write, because a TAT in the table only grows; and it decides when the table
//! is out of reach.
//!
//! It keeps two numbers per principal: `table`, the TAT last seen in the table, and `local`, the
//! TAT that includes the requests this process has admitted since without the table. Their
//! difference is *owed*: the next write adds it. So an outage neither gives anyone a new budget nor
//! charges anyone twice. Owed time drains like the rest of the bucket.
//!
//! It also remembers blocks that the table has reported. For [`BLOCK_MEMORY`] a blocked principal is
//! refused without a write; then the table is asked again, so that lifting a block takes effect. If
//! the table does not answer, the block holds until its end.
//!
//! Invariant: never more than `max_keys` entries. The principal idle longest is forgotten first,
//! and starts with a full budget.

use super::gcra::Quota;
use crate::lock::lock;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Mutex;

/// For how long, in microseconds, a block that the table reported is not checked again.
const BLOCK_MEMORY: u64 = 30_000_000;

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
    /// When the block that the table reported ends; 0 without a block.
    blocked: u64,
    /// When the table reported it.
    block_seen: u64,
}

impl Budget {
    /// The end of the known block, if it has not ended.
    fn block(&self, now: u64) -> Option<u64> {
        (self.blocked > now).then_some(self.blocked)
    }

    /// Makes `owed` the part of `local` that the table does not have.
    fn owe(&mut self, owed: u64, now: u64) {
        self.local = self.local.max(self.table);
        if owed > 0 {
            self.local = self.local.max(self.table.max(now).saturating_add(owed));
        }
    }
}

/// The fill level of the local store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Budgets (a principal and a tier) remembered.
    pub keys: usize,
    /// The bound of the store.
    pub max_keys: usize,
    /// Budgets forgotten since the start because the store was full.
    pub evictions: u64,
}

/// The local knowledge before a write.
pub(super) enum Known {
    /// Blocked, as the table reported a moment ago.
    Blocked { until: u64 },
    /// Over the quota until this TAT has drained, whatever the table holds.
    Refused { tat: u64 },
    /// The table must decide. The caller takes `owed`, and must write it to the table or give it
    /// back.
    Open { table: u64, owed: u64 },
}

impl LocalStore {
    pub(super) fn new(max_keys: NonZeroUsize) -> Self {
        // Not `LruCache::new(max_keys)`: that would allocate the whole table before the first
        // request.
        let inner = Inner { budgets: LruCache::unbounded(), evictions: 0, warned: false };
        Self { inner: Mutex::new(inner), max_keys }
    }

    /// Decides one request by local knowledge alone, and records it. Returns the new TAT, or the
    /// microseconds to wait.
    pub(super) fn admit(&self, key: &str, quota: &Quota, now: u64) -> Result<u64, u64> {
        self.update(key, |budget| {
            budget.local = quota.judge(budget.local, now)?;
            Ok(budget.local)
        })
    }

    /// What is known of `key` before a write.
    pub(super) fn consult(&self, key: &str, quota: &Quota, now: u64) -> Known {
        self.update(key, |budget| {
            // The difference also bounds the memory if the clock is set back.
            let checked = budget.block_seen.abs_diff(now) < BLOCK_MEMORY;
            if let (Some(until), true) = (budget.block(now), checked) {
                return Known::Blocked { until };
            }
            if budget.local > quota.latest(now) {
                return Known::Refused { tat: budget.local };
            }
            let owed = budget.local.saturating_sub(budget.table.max(now));
            budget.local -= owed;
            Known::Open { table: budget.table, owed }
        })
    }

    /// Records a TAT seen in the table, and that there is no block. Requests that ran beside and are
    /// owed meanwhile stay owed.
    pub(super) fn learn(&self, key: &str, tat: u64, now: u64) {
        self.update(key, |budget| {
            let owed = budget.local.saturating_sub(budget.table.max(now));
            budget.table = budget.table.max(tat);
            budget.blocked = 0;
            budget.owe(owed, now);
        });
    }

    /// Records a block seen in the table.
    pub(super) fn learn_block(&self, key: &str, until: u64, now: u64) {
        self.update(key, |budget| {
            budget.blocked = until;
            budget.block_seen = now;
        });
    }

    /// The end of the block that the table last reported, however long ago, if it has not ended.
    pub(super) fn block(&self, key: &str, now: u64) -> Option<u64> {
        self.update(key, |budget| budget.block(now))
    }

    /// Takes back the owed time that `consult` handed out and no write charged. Returns the
    /// resulting TAT.
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

    /// Changes the budget of `key`, which becomes the most recently used one.
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
