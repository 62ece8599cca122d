//! The arithmetic of the quota: the generic cell rate algorithm, a leaky bucket kept as one number.
//!
//! The only state of a principal is its *theoretical arrival time* (TAT): the moment at which its
//! bucket will be empty. Every admitted request moves it one interval into the future. A request is
//! admitted if the TAT is at most the burst tolerance ahead of `now`. Invariant: over any span, at
//! most `burst + span / interval` requests are admitted. Pure: no clock, no I/O, no state, nothing
//! that can fail. All times are microseconds, absolute ones since the Unix epoch.
//!
//! Source: ITU-T I.371, annex A (the virtual scheduling form).

use std::num::NonZeroU32;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// How many requests a principal may make: `requests` per `window`, of which up to `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    requests: NonZeroU32,
    window_seconds: NonZeroU32,
    burst: NonZeroU32,
}

impl Quota {
    /// A quota of `requests` per `window_seconds`, of which at most `burst` may come at once.
    #[must_use]
    pub const fn new(requests: NonZeroU32, window_seconds: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { requests, window_seconds, burst }
    }

    /// Requests per window.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// The window, in seconds.
    #[must_use]
    pub fn window_seconds(&self) -> u32 {
        self.window_seconds.get()
    }

    /// Requests that may come at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The latest TAT that still admits a request at `now`.
    pub(super) fn latest(&self, now: u64) -> u64 {
        now + self.tolerance()
    }

    /// Microseconds between two requests at the sustained rate, rounded up so that rounding never
    /// admits more.
    pub(super) fn interval(&self) -> u64 {
        (u64::from(self.window_seconds()) * MICROS_PER_SECOND).div_ceil(u64::from(self.requests()))
    }

    /// How far, in microseconds, the TAT may be ahead of `now` for a request to be admitted.
    fn tolerance(&self) -> u64 {
        u64::from(self.burst() - 1) * self.interval()
    }

    /// Judges one request: the new TAT if it is admitted, else the microseconds to wait before it
    /// would be. `tat` is the principal's last TAT, 0 for one never seen.
    pub(super) fn judge(&self, tat: u64, now: u64) -> Result<u64, u64> {
        let start = tat.max(now);
        let latest = self.latest(now);
        if start <= latest { Ok(start + self.interval()) } else { Err(start - latest) }
    }

    /// How many more requests would be admitted right now.
    pub(super) fn remaining(&self, tat: u64, now: u64) -> u32 {
        match self.latest(now).checked_sub(tat.max(now)) {
            Some(room) => u32::try_from(room / self.interval() + 1).unwrap_or(u32::MAX),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000_000;

    fn quota(requests: u32, window: u32, burst: u32) -> Quota {
        let whole = |n| NonZeroU32::new(n).unwrap();
        Quota::new(whole(requests), whole(window), whole(burst))
    }

    #[test]
    fn a_burst_is_admitted_then_the_wait_is_one_interval() {
        let quota = quota(5, 60, 5);
        let mut tat = 0;
        for left in (0..5).rev() {
            tat = quota.judge(tat, NOW).unwrap();
            assert_eq!(quota.remaining(tat, NOW), left);
        }
        assert_eq!(quota.judge(tat, NOW), Err(12_000_000));
        assert!(quota.judge(tat, NOW + 11_999_999).is_err());
        assert!(quota.judge(tat, NOW + 12_000_000).is_ok());
    }

    #[test]
    fn a_burst_of_one_spaces_requests_evenly() {
        let quota = quota(60, 60, 1);
        let tat = quota.judge(0, NOW).unwrap();
        assert_eq!(quota.judge(tat, NOW), Err(1_000_000));
        assert!(quota.judge(tat, NOW + 1_000_000).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_plus_elapsed_over_interval(
            requests in 1_u32..200, window in 1_u32..100, burst in 1_u32..50,
            gaps in proptest::collection::vec(0_u64..2_000_000, 1..300),
        ) {
            let quota = quota(requests, window, burst);
            let (mut now, mut tat, mut admitted) = (NOW, 0, 0_u64);
            for gap in gaps {
                now += gap;
                if let Ok(next) = quota.judge(tat, now) {
                    tat = next;
                    admitted += 1;
                }
                prop_assert!(admitted <= u64::from(burst) + (now - NOW) / quota.interval());
            }
        }

        #[test]
        fn remaining_is_exactly_what_judge_then_admits(
            requests in 1_u32..100, window in 1_u32..100, burst in 1_u32..40, ahead in 0_u64..200_000_000,
        ) {
            let quota = quota(requests, window, burst);
            let mut tat = NOW + ahead;
            let promised = quota.remaining(tat, NOW);
            let mut admitted = 0;
            while let Ok(next) = quota.judge(tat, NOW) {
                tat = next;
                admitted += 1;
            }
            prop_assert_eq!(promised, admitted);
        }

        #[test]
        fn waiting_as_told_is_enough_and_a_microsecond_less_is_not(
            requests in 1_u32..100, window in 1_u32..100, burst in 1_u32..40, ahead in 0_u64..500_000_000,
        ) {
            let quota = quota(requests, window, burst);
            let tat = NOW + ahead;
            if let Err(wait) = quota.judge(tat, NOW) {
                prop_assert!(quota.judge(tat, NOW + wait).is_ok());
                prop_assert!(quota.judge(tat, NOW + wait - 1).is_err());
            }
        }
    }
}
