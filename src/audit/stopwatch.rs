//! The one place that measures elapsed time.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Stopwatch {
    start: Instant,
    last: Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a duration needs a monotonic clock, which `now` is not"
)]
impl Stopwatch {
    pub(super) fn start() -> Self {
        let start = Instant::now();
        Self { start, last: start }
    }

    /// Milliseconds since the last lap.
    pub(super) fn lap_ms(&mut self) -> f64 {
        let now = Instant::now();
        milliseconds(now.duration_since(std::mem::replace(&mut self.last, now)))
    }

    /// Milliseconds since the start.
    pub(super) fn total_ms(&self) -> f64 {
        milliseconds(self.start.elapsed())
    }
}

/// Rounded to a microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
