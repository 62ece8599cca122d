//! The age of a thing, judged from the request's `now`.
//!
//! Invariant: a clock that is set back never makes a thing look young. Every age in this crate
//! comes from here.

use time::{Duration, UtcDateTime};

/// A request keeps the `now` of its arrival while it waits, and may then meet a value that a later
/// request has read. Requests take less than this: no front of the function waits longer.
const TOLERANCE: Duration = Duration::seconds(30);

/// The time from `since` to `now`.
///
/// If `since` lies in the future, the clock was set back and the true age is unknown. The age is
/// then [`Duration::MAX`], so that whatever expires has expired.
pub(crate) fn age(since: UtcDateTime, now: UtcDateTime) -> Duration {
    checked(now - since)
}

/// [`age`] in whole seconds.
pub(crate) fn age_seconds(since: UtcDateTime, now: UtcDateTime) -> u64 {
    age(since, now).whole_seconds().unsigned_abs()
}

/// [`age`] of a time in microseconds since the Unix epoch.
pub(crate) fn age_micros(since: u64, now: u64) -> Duration {
    let elapsed = i128::from(now) - i128::from(since);
    checked(Duration::microseconds(i64::try_from(elapsed).unwrap_or(i64::MAX)))
}

fn checked(elapsed: Duration) -> Duration {
    if elapsed < -TOLERANCE { Duration::MAX } else { elapsed.max(Duration::ZERO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(i64, Duration); 4] = [
        (7, Duration::seconds(7)),
        (0, Duration::ZERO),
        (-30, Duration::ZERO),
        (-31, Duration::MAX),
    ];

    #[test]
    fn a_time_in_the_future_has_the_greatest_age() {
        let since = UtcDateTime::UNIX_EPOCH;
        for (seconds, expected) in CASES {
            assert_eq!(age(since, since + Duration::seconds(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn times_in_microseconds_have_the_same_age() {
        let since = 1_700_000_000_000_000_u64;
        for (seconds, expected) in CASES {
            let now = since.checked_add_signed(seconds * 1_000_000).unwrap();
            assert_eq!(age_micros(since, now), expected, "{seconds}");
        }
    }
}
