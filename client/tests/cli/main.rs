//! The program as its callers run it, against stub end points on this machine.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod approval;
mod cached;
mod commands;
mod configure;
mod exec;
mod faults;
mod requests;
mod serve;
mod sharing;
mod support;
