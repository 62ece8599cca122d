//! The limiter and the approvals of the function, under many schedules.
//!
//! The function's own code runs, compiled a second time ([`function`]): every lock, every await, every
//! time-out and every answer of DynamoDB is at the mercy of a seed ([`explorer`], [`network`]). The
//! table evaluates the expressions that the function sends ([`dynamo`]).

#![expect(clippy::missing_panics_doc, reason = "a tool for tests: it stops where its model ends")]

pub mod approvals;
pub mod dynamo;
pub mod explorer;
pub mod function;
pub mod limiter;
pub mod network;
