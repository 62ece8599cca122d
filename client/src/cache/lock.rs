//! The lock of a key: one process asks the end point, the others wait for it.
//!
//! If the asking process fails, it leaves its failure in the lock file. Who waited for it reports the same failure and does not
//! ask again: two hundred refused processes cost one request.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::directory::permissions;
use crate::clock::{self, Deadline};
use crate::failure::Failure;
use crate::terminal::Patience;

/// How long to wait before looking again; each time a little longer.
const PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// A lock file that this process has open.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
    opened_at: u128,
}

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock(LockFile);

#[derive(Serialize, Deserialize)]
struct LastFailure {
    /// Nanoseconds since 1970.
    at: u128,
    failure: Failure,
}

impl LockFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        permissions::private_file(&mut options);
        Ok(Self { file: options.open(path)?, opened_at: nanoseconds() })
    }

    /// The lock, if no other process holds it.
    pub(crate) fn try_lock(self) -> io::Result<Result<Lock, Self>> {
        match self.file.try_lock() {
            Ok(()) => Ok(Ok(Lock(self))),
            Err(TryLockError::WouldBlock) => Ok(Err(self)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The lock, as soon as no other process holds it; `None` at the deadline. Looks at `done` between attempts, so that
    /// those who wait need not take turns.
    pub(crate) fn lock<T>(
        mut self,
        deadline: Deadline,
        mut done: impl FnMut() -> Option<T>,
    ) -> io::Result<Waited<T>> {
        let (mut pause, mut patience) = (PAUSE, Patience::new());
        loop {
            self = match self.try_lock()? {
                Ok(lock) => return Ok(Waited::Locked(lock)),
                Err(unlocked) => unlocked,
            };
            if let Some(value) = done() {
                return Ok(Waited::Done(value));
            }
            if deadline.left().is_zero() {
                return Ok(Waited::TimedOut);
            }
            patience.sleep(pause.min(deadline.left()), "another sentinel that asks for the same");
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}

/// How a wait for the lock ended.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Locked(Lock),
    /// Another process did what the lock was wanted for.
    Done(T),
    TimedOut,
}

impl Lock {
    /// The failure of a process that held the lock while this one waited.
    pub(crate) fn failure_while_waiting(&mut self) -> Option<Failure> {
        let mut text = String::new();
        self.0.file.rewind().ok()?;
        (&self.0.file).take(64 * 1024).read_to_string(&mut text).ok()?;
        let last: LastFailure = serde_json::from_str(&text).ok()?;
        (last.at >= self.0.opened_at && last.at <= nanoseconds()).then_some(last.failure)
    }

    /// Leaves a failure for those who wait. If that fails, they ask for themselves.
    pub(crate) fn leave(&mut self, failure: &Failure) {
        let last = LastFailure { at: nanoseconds(), failure: failure.clone() };
        let Ok(text) = serde_json::to_string(&last) else { return };
        let _ = self.0.file.set_len(0);
        let _ = self.0.file.rewind();
        let _ = self.0.file.write_all(text.as_bytes());
    }
}

fn nanoseconds() -> u128 {
    clock::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
