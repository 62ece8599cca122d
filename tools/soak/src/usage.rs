//! Memory, file descriptors and threads of the instances, as Linux counts them.

use crate::clock::{self, Micros};
use crate::lambda::Instance;
use crate::lock;
use rustix::process::Pid;
use serde::Serialize;
use std::fs;
use std::sync::Mutex;

/// One reading of one instance.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Reading {
    pub(crate) instance: u32,
    pub(crate) at: Micros,
    /// Resident memory.
    pub(crate) kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

/// All readings.
#[derive(Default)]
pub(crate) struct Usage(Mutex<Vec<Reading>>);

impl Usage {
    /// Reads an instance, if its process is still there.
    pub(crate) fn measure(&self, instance: &Instance) {
        if let Some(reading) = read(instance.number, instance.pid) {
            lock(&self.0).push(reading);
        }
    }

    pub(crate) fn all(&self) -> Vec<Reading> {
        lock(&self.0).clone()
    }
}

fn read(instance: u32, pid: Pid) -> Option<Reading> {
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let number = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Reading {
        instance,
        at: clock::now(),
        kib: number("VmRSS:")?,
        threads: number("Threads:")?,
        descriptors: u64::try_from(fs::read_dir(format!("{process}/fd")).ok()?.count()).ok()?,
    })
}
