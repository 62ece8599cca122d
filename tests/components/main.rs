//! Parts of the function by themselves: each against the real store or a service on loopback, at
//! instants that the test chooses.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod event_oracle;
mod events;
mod limiter;
mod mdm;
mod policy_store;
mod secrets;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "`api` uses the rest")]
mod support;
mod tls;
