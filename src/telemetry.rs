//! Logging: JSON lines on standard output, which Lambda delivers to CloudWatch Logs.
//!
//! Invariant: the configured level applies to this crate alone. Libraries log at most warnings and
//! errors: at lower levels, HTTP and SDK crates log requests and replies, which hold credentials.

use std::io::{self, Write};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Starts logging at `level`. Panics become log lines without their message, which might quote
/// input.
pub fn init(level: LevelFilter) {
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("sentinel_tvm", level)
        // At each call that fails, it logs as an ERROR that there is no connection to mark. A call that
        // was cut off closes its own.
        .with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    // It fails only if logging has started already.
    let _ = tracing_subscriber::registry().with(lines.with_filter(targets)).try_init();
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(at = panic.location().map(tracing::field::display), "panic");
    }));
}

/// Writes an audit line to standard output, in one piece.
///
/// # Errors
/// The line was not written as a whole.
pub fn write_audit_line(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
