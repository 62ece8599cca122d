//! The local store: each principal's TATs as this process knows them, in a least-recently-used map.
//!
//! Without a shared table it is the whole limiter. Beside one, it mirrors every TAT that this
//! process has seen there, and serves three purposes: it suggests which form of write to try first;
//! it refuses without a write, because a TAT in the table only grows; and it decides when the table
//! is out of reach.
//!
//! It keeps two numbers per principal and window: `table`, the TAT last seen in the table, and
//! `local`, the TAT that includes the requests this process has admitted since without the table.
//! Their difference is *owed*: the next write adds it. So an outage neither gives anyone a new budget nor
//! charges anyone twice. Owed time drains like the rest of the bucket. What a write carries is *lent*:
//! no second write carries it, and until the table has it, it still counts here.
//!
//! It also remembers blocks that the table has reported. For [`BLOCK_MEMORY`] a blocked principal is
//! refused without a write; then the table is asked again, so that lifting a block takes effect. If
//! the table does not answer, the block holds until its end.
//!
//! Invariant: never more than `max_keys` entries. An entry that has been idle for a minute says
//! nothing that an empty one does not, and makes room for the next. If none is idle, the principal
//! that asked least recently is forgotten first, and starts with a full budget.

use super::gcra::Quota;
use super::windows::Windows;
use crate::lock::lock;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Mutex;

/// For how long, in microseconds, a block that the table reported is not checked again.
const BLOCK_MEMORY: u64 = 30_000_000;

/// How long, in microseconds, an entry must have been idle to be dropped. A request that waited
/// still has the `now` of its arrival, but no request waits this long.
const IDLE: u64 = 60_000_000;

/// The memory of one entry, in bytes. Measured as the growth of the process: 273 to 294, with keys
/// of 139 bytes, for 100 000 to a million entries.
pub(super) const BYTES_PER_KEY: usize = 300;

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

#[derive(Debug, Default, Clone, Copy)]
struct Budget {
    short: Level,
    day: Level,
    /// When the block that the table reported ends, in microseconds since the Unix epoch; 0 without
    /// a block.
    blocked: u64,
    /// When the table reported it.
    block_seen: u64,
    /// Whether the table has ever answered for this key. Without an answer, nobody knows whether it
    /// is blocked.
    answered: bool,
}

/// A TAT, in microseconds since the Unix epoch. Invariant: `local >= table`.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    table: u64,
    local: u64,
    /// The part of what is owed that writes carry now.
    lent: u64,
}

impl Level {
    fn owed(&self, now: u64) -> u64 {
        self.local.saturating_sub(self.table.max(now))
    }

    /// Lends what is owed and not lent yet. A request that is given up never returns its part, so
    /// that part drains with the rest.
    fn lend(&mut self, now: u64) -> u64 {
        let owed = self.owed(now);
        let free = owed.saturating_sub(self.lent);
        self.lent = owed;
        free
    }

    /// Takes back what no write has charged. It is owed again even if the entry was forgotten
    /// meanwhile.
    fn give_back(&mut self, owed: u64, now: u64) {
        self.lent = self.lent.saturating_sub(owed);
        if owed > 0 {
            self.local = self.local.max(self.table.max(now).saturating_add(owed));
        }
    }

    /// A TAT seen in the table, which has `charged` of what was owed.
    fn learn(&mut self, tat: u64, charged: u64, now: u64) {
        let still_owed = self.owed(now).saturating_sub(charged);
        self.lent = self.lent.saturating_sub(charged);
        self.table = self.table.max(tat);
        self.local = self.local.max(self.table);
        if still_owed > 0 {
            self.local = self.local.max(self.table.max(now).saturating_add(still_owed));
        }
    }
}

impl Budget {
    /// The end of the known block, if it has not ended.
    fn block(&self, now: u64) -> Option<u64> {
        (self.blocked > now).then_some(self.blocked)
    }

    /// Of the windows that `shape` has.
    fn levels<T: Copy>(&mut self, shape: Windows<T>) -> Windows<(&mut Level, T)> {
        Windows {
            short: (&mut self.short, shape.short),
            day: shape.day.map(|value| (&mut self.day, value)),
        }
    }

    /// The TATs with what is owed, of the windows that `shape` has.
    fn tats<T: Copy>(&self, shape: Windows<T>) -> Windows<u64> {
        Windows { short: self.short.local, day: shape.day.map(|_| self.day.local) }
    }

    /// Whether it has been empty for long enough to be dropped.
    fn is_idle(&self, now: u64) -> bool {
        let end = self.short.local.max(self.day.local).max(self.blocked);
        end.saturating_add(IDLE) <= now
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
    /// Over a quota until these TATs have drained, whatever the table holds.
    Refused { tats: Windows<u64> },
    /// The table must decide. The caller takes `owed`, and must write it to the table or give it
    /// back.
    Open { table: Windows<u64>, owed: Windows<u64> },
}

impl LocalStore {
    pub(super) fn new(max_keys: NonZeroUsize) -> Self {
        // Not `LruCache::new(max_keys)`: that would allocate the whole table before the first
        // request.
        let inner = Inner { budgets: LruCache::unbounded(), evictions: 0, warned: false };
        Self { inner: Mutex::new(inner), max_keys }
    }

    /// Decides one request by local knowledge alone, and records it if it is admitted. Returns the
    /// new TATs, or the old ones of a request that is refused.
    pub(super) fn admit(
        &self,
        key: &str,
        quotas: Windows<Quota>,
        now: u64,
    ) -> Result<Windows<u64>, Windows<u64>> {
        self.update(key, now, |budget| {
            let tats = quotas.judge(budget.tats(quotas), now)?;
            budget.levels(tats).iter().for_each(|(level, tat)| level.local = tat);
            Ok(tats)
        })
    }

    /// What is known of `key` before a write.
    pub(super) fn consult(&self, key: &str, quotas: Windows<Quota>, now: u64) -> Known {
        self.update(key, now, |budget| {
            // The difference also bounds the memory if the clock is set back.
            let checked = budget.block_seen.abs_diff(now) < BLOCK_MEMORY;
            if let (Some(until), true) = (budget.block(now), checked) {
                return Known::Blocked { until };
            }
            let tats = budget.tats(quotas);
            if quotas.over(tats, now) > 0 {
                return Known::Refused { tats };
            }
            let known = budget.levels(quotas).map(|(level, _)| (level.lend(now), level.table));
            Known::Open { table: known.map(|(_, table)| table), owed: known.map(|(owed, _)| owed) }
        })
    }

    /// Records TATs seen in the table, which has `charged` of what was owed, and that there is no
    /// block. Requests that ran beside and are owed meanwhile stay owed.
    pub(super) fn learn(&self, key: &str, tats: Windows<u64>, charged: Windows<u64>, now: u64) {
        self.update(key, now, |budget| {
            budget.blocked = 0;
            budget.answered = true;
            let levels = budget.levels(tats.zip(charged));
            levels.iter().for_each(|(level, (tat, charged))| level.learn(tat, charged, now));
        });
    }

    /// Records a block seen in the table.
    pub(super) fn learn_block(&self, key: &str, until: u64, now: u64) {
        self.update(key, now, |budget| {
            budget.blocked = until;
            budget.block_seen = now;
            budget.answered = true;
        });
    }

    /// The end of the block that the table last reported, however long ago, if it has not ended.
    pub(super) fn block(&self, key: &str, now: u64) -> Option<u64> {
        self.update(key, now, |budget| budget.block(now))
    }

    /// Whether the table has answered for `key`, as far as this store remembers.
    pub(super) fn is_answered(&self, key: &str, now: u64) -> bool {
        self.update(key, now, |budget| budget.answered)
    }

    /// The TATs, with what is owed.
    pub(super) fn tats(&self, key: &str, quotas: Windows<Quota>, now: u64) -> Windows<u64> {
        self.update(key, now, |budget| budget.tats(quotas))
    }

    /// Takes back the owed time that `consult` lent and no write charged. Returns the TATs.
    pub(super) fn give_back(&self, key: &str, owed: Windows<u64>, now: u64) -> Windows<u64> {
        self.update(key, now, |budget| {
            budget.levels(owed).iter().for_each(|(level, owed)| level.give_back(owed, now));
            budget.tats(owed)
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
    fn update<R>(&self, key: &str, now: u64, change: impl FnOnce(&mut Budget) -> R) -> R {
        let mut inner = lock(&self.inner);
        let before = inner.budgets.len();
        let result = change(inner.budgets.get_or_insert_mut_ref(key, Budget::default));
        if inner.budgets.len() > before {
            inner.make_room(self.max_keys, now);
        }
        result
    }
}

impl Inner {
    /// Drops up to two idle entries for the new one, so that the store shrinks to the principals
    /// that are active. If it is over its bound then, the one used least recently goes.
    fn make_room(&mut self, max_keys: NonZeroUsize, now: u64) {
        for _ in 0..2 {
            let is_idle = self.budgets.peek_lru().is_some_and(|(_, budget)| budget.is_idle(now));
            if is_idle && self.budgets.len() > 1 {
                self.budgets.pop_lru();
            }
        }
        if self.budgets.len() > max_keys.get() {
            self.budgets.pop_lru();
            self.evictions += 1;
        }
        self.warn_when_nearly_full(max_keys);
    }

    /// Each time that the store passes 80 %. It must first fall below 70 % to pass it again, so that
    /// a store that stays about there does not fill the log.
    fn warn_when_nearly_full(&mut self, max_keys: NonZeroUsize) {
        let (keys, max) = (self.budgets.len(), max_keys.get());
        if keys * 10 < max * 7 {
            self.warned = false;
        }
        if !self.warned && keys * 10 >= max * 8 {
            self.warned = true;
            tracing::warn!(
                keys,
                max_keys,
                "the limiter's local store is 80 % full; when full it forgets the principals idle longest: raise SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS"
            );
        }
    }
}

#[cfg(test)]
mod tests;
