//! What a policy bundle is expected to do: `tests.toml`, with expectations that are tried and
//! invariants that `tools/prove` proves.

mod expectations;
#[cfg(test)]
mod guide;
mod invariants;

pub use expectations::{Check, Expectations, Outcome};
pub use invariants::{Action, Invariant};
