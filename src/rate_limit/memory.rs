//! The local store: the TAT of each principal this process has seen, in a least-recently-used map.
//!
//! Invariant: never more than `max_keys` entries; the principal that has been quiet longest is forgotten first, and so
//! starts with a fresh budget. It cannot fail: a lock poisoned by a panic elsewhere still guards plain numbers.

use super::gcra::Quota;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct MemoryStore {
    tats: Mutex<LruCache<String, u64>>,
    max_keys: NonZeroUsize,
}

impl MemoryStore {
    pub(super) fn new(max_keys: NonZeroUsize) -> Self {
        // Not `LruCache::new(max_keys)`: that would allocate the whole table before the first request.
        Self { tats: Mutex::new(LruCache::unbounded()), max_keys }
    }

    /// Judges and records one request of `key` at `now`: the new TAT, or the microseconds to wait.
    pub(super) fn admit(&self, key: &str, quota: &Quota, now: u64) -> Result<u64, u64> {
        let mut tats = self.tats.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tats.get(key).copied();
        let tat = quota.judge(known.unwrap_or(0), now)?;
        tats.put(key.to_owned(), tat);
        if tats.len() > self.max_keys.get() {
            tats.pop_lru();
        }
        Ok(tat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const NOW: u64 = 1_700_000_000_000_000;

    fn store(max_keys: usize) -> (MemoryStore, Quota) {
        let one = NonZeroU32::MIN;
        (MemoryStore::new(NonZeroUsize::new(max_keys).unwrap()), Quota::new(one, one, one))
    }

    #[test]
    fn keys_do_not_share_a_budget() {
        let (store, quota) = store(10);
        assert!(store.admit("a", &quota, NOW).is_ok());
        assert!(store.admit("b", &quota, NOW).is_ok());
        assert_eq!(store.admit("a", &quota, NOW), Err(1_000_000));
    }

    #[test]
    fn the_bound_holds_and_the_quietest_key_is_forgotten_first() {
        let (store, quota) = store(2);
        for key in ["a", "b"] {
            assert!(store.admit(key, &quota, NOW).is_ok());
        }
        assert!(store.admit("a", &quota, NOW).is_err(), "a refusal counts as use");
        assert!(store.admit("c", &quota, NOW).is_ok());
        assert_eq!(store.tats.lock().unwrap().len(), 2);
        assert!(store.admit("a", &quota, NOW).is_err(), "a was used after b");
        assert!(store.admit("b", &quota, NOW).is_ok(), "b was forgotten");
    }
}
