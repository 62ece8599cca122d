//! The function's own code, compiled a second time: `build.rs` says from which files, and which
//! primitives it replaces. The domain comes from the function as it is built: it shares no state.

#![expect(dead_code, reason = "what only other parts of the function use")]
#![expect(missing_docs, reason = "the comments are in the function's files")]
#![allow(clippy::all, clippy::pedantic, unreachable_pub, reason = "checked where the files are")]

include!(concat!(env!("OUT_DIR"), "/function.rs"));

pub mod caller {
    pub use sentinel_tvm::{Caller, CallerKind, Principal};
}

pub mod event {
    pub use sentinel_tvm::{Event, UnreadableInput};
}
