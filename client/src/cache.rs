//! Credentials that many processes share.
//!
//! One entry for each end point, caller, and everything that a request asks for and says of itself ([`Key`]). A lock file for each key decides which
//! process asks the end point; the others wait, or use the credentials in the cache while those are valid.
//!
//! Invariant: an entry is written whole or not at all, and only its owner can read it. An entry that is damaged, of another
//! version, of another user or readable by others is not used. If there is no usable cache, a [`Problem`] says why, and credentials are
//! vended without one.

mod directory;
mod entry;
mod key;
mod key_ring;
mod lock;

use std::sync::Mutex;

use crate::clock::UnixSeconds;
use crate::environment::Environment;
use crate::settings::CacheKind;

pub(crate) use directory::{Directory, Problem, create_private, permissions, write_new_private};
pub(crate) use entry::{Age, Entry};
pub(crate) use key::Key;
pub(crate) use key_ring::{KeyRing, KeyRingError};
pub(crate) use lock::{Lock, LockFile, Waited};

/// A place for entries.
#[derive(Debug)]
pub(crate) enum Cache {
    Files(Directory),
    /// The key ring holds the entries, the directory only the locks.
    KeyRing(Directory),
    /// This process only.
    Memory(Mutex<Option<Entry>>),
}

impl Cache {
    /// The cache of the settings; without a safe directory, one that ends with this process, and the reason.
    pub(crate) fn open(kind: CacheKind, environment: &Environment) -> (Self, Option<Problem>) {
        if kind == CacheKind::Off {
            return (Self::in_memory(), None);
        }
        let safe = |directory: Directory| directory.check().map(|()| directory);
        match Directory::of(environment).and_then(safe) {
            Ok(directory) if kind == CacheKind::KeyRing => (Self::KeyRing(directory), None),
            Ok(directory) => (Self::Files(directory), None),
            Err(problem) => (Self::in_memory(), Some(problem)),
        }
    }

    pub(crate) fn in_memory() -> Self {
        Self::Memory(Mutex::new(None))
    }

    /// The entry of a key; `None` if there is none.
    pub(crate) fn read(&self, key: &Key) -> Result<Option<Entry>, Problem> {
        match self {
            Self::Files(directory) => directory.read(key),
            Self::KeyRing(_) => key_ring::read(key),
            Self::Memory(entry) => Ok(entry.lock().map_or(None, |entry| entry.clone())),
        }
    }

    /// Replaces the entry of a key. The caller holds the key's lock.
    pub(crate) fn write(&self, key: &Key, entry: &Entry) -> Result<(), Problem> {
        match self {
            Self::Files(directory) => directory.write(key, entry),
            Self::KeyRing(_) => key_ring::write(key, entry),
            Self::Memory(memory) => {
                if let Ok(mut memory) = memory.lock() {
                    *memory = Some(entry.clone());
                }
                Ok(())
            }
        }
    }

    /// The lock of a key; `None` if this cache is not shared.
    pub(crate) fn lock_file(&self, key: &Key) -> Result<Option<LockFile>, Problem> {
        match self {
            Self::Files(directory) | Self::KeyRing(directory) => {
                directory.create()?;
                directory.lock_file(key).map(Some)
            }
            Self::Memory(_) => Ok(None),
        }
    }

    /// Removes files of expired entries and of interrupted writes.
    pub(crate) fn prune(&self, now: UnixSeconds) {
        if let Self::Files(directory) | Self::KeyRing(directory) = self {
            directory.prune(now);
        }
    }
}
