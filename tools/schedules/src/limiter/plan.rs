//! What one schedule of the limiter is about. Small numbers: bounds are met often.

use crate::function::rate_limit::{
    BreakerSettings, FailureMode, Limit, Limits, Quota, SharedSettings,
};
use crate::network::{coin, draw, one_of};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// How the world treats the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    /// No faults, one moment: exactly the burst must be admitted.
    Calm,
    /// No faults, but time passes and the clocks differ.
    Skewed,
    /// Faults, blocks, expiry, evictions and restarts, too.
    Stormy,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) conditions: Conditions,
    pub(super) limits: Limits,
    /// The quota of each window.
    pub(super) quotas: Vec<Quota>,
    pub(super) settings: SharedSettings,
    /// How far the clock of each instance is from the true time, in microseconds.
    pub(super) clocks: Vec<i64>,
    pub(super) phases: u64,
}

impl Plan {
    pub(super) fn drawn() -> Self {
        let conditions = match draw(0, 5) {
            0 => Conditions::Calm,
            1 => Conditions::Skewed,
            _ => Conditions::Stormy,
        };
        let short = quota(draw(1, 4), draw(1, 2), draw(1, 4));
        let day = (draw(0, 2) == 0).then(|| quota(draw(1, 3), draw(3, 6), draw(1, 5)));
        let full = conditions == Conditions::Stormy && draw(0, 4) == 0;
        let limit = |quota: Option<Quota>| quota.map_or(Limit::Off, Limit::Quota);
        let clock = |_| match (conditions, draw(0, 2)) {
            (Conditions::Calm, _) | (_, 0) => 0,
            (_, 1) => one_of(&[-250_000, 250_000]),
            _ => one_of(&[-1_000_000, 3_000_000]),
        };
        Self {
            conditions,
            limits: Limits {
                vend: limit(Some(short)),
                vend_day: limit(day),
                explain: Limit::Off,
                read: Limit::Off,
                memory_max_keys: NonZeroUsize::MIN.saturating_add(if full { 0 } else { 9 }),
            },
            quotas: std::iter::once(short).chain(day).collect(),
            settings: settings(),
            clocks: (0..draw(1, 4)).map(clock).collect(),
            phases: if conditions == Conditions::Calm { 1 } else { draw(1, 4) },
        }
    }

    /// By how much two clocks differ, in microseconds.
    pub(super) fn skew(&self) -> u64 {
        let (least, most) = (self.clocks.iter().min(), self.clocks.iter().max());
        least.zip(most).map_or(0, |(least, most)| most.abs_diff(*least))
    }

    /// After so many microseconds without a request, every bucket is empty, whatever was charged
    /// twice, and the breaker probes.
    pub(super) fn rest(&self) -> u64 {
        let longest = self.quotas.iter().map(|quota| interval(*quota) * u64::from(quota.burst()));
        let wait = u64::from(self.settings.breaker.max_reset_seconds) * 1_000_000;
        3 * longest.max().unwrap_or(0) + wait + self.skew()
    }
}

fn settings() -> SharedSettings {
    let few = |number| u32::try_from(number).unwrap_or(1);
    SharedSettings {
        timeout: Duration::from_millis(500),
        failure_mode: match draw(0, 5) {
            0 => FailureMode::Open,
            1 => FailureMode::Closed,
            _ => FailureMode::Memory,
        },
        breaker: BreakerSettings {
            failure_threshold: few(draw(1, 5)),
            reset_seconds: if coin() { 30 } else { 1 },
            max_reset_seconds: if coin() { 60 } else { 30 },
            half_open_requests: few(draw(1, 3)),
        },
    }
}

fn quota(requests: u64, window: u64, burst: u64) -> Quota {
    let whole =
        |number| u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Quota::new(whole(requests), whole(window), whole(burst))
}

/// Microseconds from one request to the next at the sustained rate.
pub(super) fn interval(quota: Quota) -> u64 {
    (u64::from(quota.window_seconds()) * 1_000_000).div_ceil(u64::from(quota.requests()))
}
