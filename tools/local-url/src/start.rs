//! What the function's log reports about its start.
//!
//! `cargo lambda watch` keeps invocations of a function that does not run, and answers none of
//! them. Only its log says why: the function's own line, cargo's errors, or its own line that the
//! process has ended.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

/// In the function's own line when its start fails.
const START_FAILED: &str = "\"the start failed";
/// In cargo's last line when the function does not compile.
const NOT_COMPILED: &str = "error: could not compile";
/// In a line of cargo lambda when the process ends by itself.
const ENDED: &str = "command exited";
/// What cargo prints, after the indentation, when it builds and runs the function again.
const PROGRESS: [&str; 4] = ["Blocking ", "Compiling ", "Finished ", "Running "];

/// The function's log. Each call reads only what is new.
pub(crate) struct StartLog {
    path: PathBuf,
    read: Mutex<Reading>,
}

/// How far the log has been read, and what it said so far.
#[derive(Default)]
struct Reading {
    offset: u64,
    incomplete: Vec<u8>,
    failure: Option<String>,
    /// The compiler's first error since the last build began.
    first_error: Option<String>,
}

/// The part that matters of the function's line when its start fails.
#[derive(Deserialize)]
struct FailedStart {
    problems: String,
}

impl StartLog {
    /// The log at `path`. It need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::default() }
    }

    /// Why the function does not run; `None` if it runs, if it is being built, or if the log cannot
    /// be read.
    pub(crate) fn failure(&self) -> Option<String> {
        let mut reading = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(added) = reading.read_on(&self.path) {
            reading.incomplete.extend(added);
            reading.complete_lines();
        }
        reading.failure.clone()
    }
}

impl Reading {
    fn read_on(&mut self, path: &PathBuf) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < self.offset {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut added = Vec::new();
        self.offset += file.read_to_end(&mut added)? as u64;
        Ok(added)
    }

    fn complete_lines(&mut self) {
        let Some(end) = self.incomplete.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.incomplete.split_off(end + 1);
        let lines = std::mem::replace(&mut self.incomplete, rest);
        String::from_utf8_lossy(&lines).lines().for_each(|line| self.line(line));
    }

    fn line(&mut self, line: &str) {
        if line.contains(START_FAILED) {
            let problems = serde_json::from_str(line).map(|FailedStart { problems }| problems);
            self.failure = Some(problems.unwrap_or_else(|_| line.to_owned()));
        } else if line.starts_with(NOT_COMPILED) {
            let error = self.first_error.take().unwrap_or_else(|| line.to_owned());
            self.failure = Some(format!("it does not compile: {error}"));
        } else if line.contains(ENDED) {
            self.failure.get_or_insert_with(|| "its process has ended".to_owned());
        } else if PROGRESS.iter().any(|word| line.trim_start().starts_with(word)) {
            self.failure = None;
            self.first_error = None;
        } else if line.starts_with("error") {
            self.first_error.get_or_insert_with(|| line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
