//! What a policy bundle is expected to do: `tests.toml`, with expectations that are tried and
//! invariants that `tools/prove` proves.

mod examples;
mod expectations;
#[cfg(test)]
mod guide;
mod invariants;

pub use examples::worked_examples;
pub use expectations::{Check, Expectations, Outcome};
pub use invariants::{Action, Invariant};
