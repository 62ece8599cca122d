//! The clock of the run: microseconds since the Unix epoch, as the function counts them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A point in time, in microseconds since the Unix epoch.
pub(crate) type Micros = u64;

pub(crate) const SECOND: Micros = 1_000_000;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) async fn sleep_until(at: Micros) {
    tokio::time::sleep(Duration::from_micros(at.saturating_sub(now()))).await;
}

/// Reads a time in RFC 3339.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    let at = UtcDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000).ok()
}

fn date(at: Micros) -> UtcDateTime {
    let seconds = i64::try_from(at / SECOND).unwrap_or(i64::MAX);
    UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::UNIX_EPOCH)
}

/// In RFC 3339, whole seconds.
pub(crate) fn rfc3339(at: Micros) -> String {
    date(at).format(&Rfc3339).unwrap_or_default()
}

/// As in the header `x-amz-date`.
pub(crate) fn amz_date(at: Micros) -> String {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    date(at).format(form).unwrap_or_default()
}
