//! The function's behaviour through its public surface: real events in, replies and audit lines
//! out, STS over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod access;
mod approvals;
mod break_glass;
mod caller_proof;
mod client_tokens;
mod credentials;
mod devices;
mod identity;
mod input;
mod limits;
mod metrics;
mod narrowing;
mod outcomes;
mod policy;
mod process;
mod reload;
mod robustness;
mod scope;
mod security;
mod signature;
mod start;
mod support;
