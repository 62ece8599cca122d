//! How old something is, judged from `now`.

use time::{Duration, UtcDateTime};

/// How far apart two requests' clocks may be without anything being wrong: requests run side by side.
const TOLERANCE: Duration = Duration::seconds(5);

/// How long ago `since` was; for ever, if it is in the future: then the clock was set back, and nobody knows.
pub(crate) fn age(since: UtcDateTime, now: UtcDateTime) -> Duration {
    let age = now - since;
    if age < -TOLERANCE { Duration::MAX } else { age.max(Duration::ZERO) }
}

/// The same in whole seconds.
pub(crate) fn age_seconds(since: UtcDateTime, now: UtcDateTime) -> u64 {
    age(since, now).whole_seconds().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_seems_to_come_from_the_future_is_as_old_as_can_be() {
        let since = UtcDateTime::UNIX_EPOCH;
        for (seconds, expected) in [
            (7, Duration::seconds(7)),
            (0, Duration::ZERO),
            (-5, Duration::ZERO),
            (-6, Duration::MAX),
        ] {
            assert_eq!(age(since, since + Duration::seconds(seconds)), expected, "{seconds}");
        }
    }
}
