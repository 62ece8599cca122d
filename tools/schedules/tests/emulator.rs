//! The table of the schedules answers as an emulator of DynamoDB does, for random sequences of
//! everything that the function and an operator send. The emulator is checked against AWS by a public
//! conformance suite.
//!
//! Each sequence runs twice: the function as it is built, with the SDK, on the emulator; and the code
//! that the schedules run, on the table in this process. Every answer and every item must be the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod emulator {
    pub(crate) mod approvals;
    pub(crate) mod limiter;
    pub(crate) mod stack;
}
