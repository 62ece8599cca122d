//! Locking that survives a panic elsewhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after a thread panicked while it held the lock.
///
/// Every lock in this crate guards plain values that are valid after each single assignment, so a
/// panic in between leaves nothing half done. Refusing to lock would turn one failed request into
/// the failure of all later ones.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
