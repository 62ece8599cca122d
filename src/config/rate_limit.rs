//! The limiter's settings.

use super::variables::Variables;
use crate::rate_limit::{
    BreakerSettings, FailureMode, Limit, Limits, Quota, RateLimitSettings, SharedSettings,
    StoreSettings,
};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

pub(super) fn read(variables: &mut Variables) -> RateLimitSettings {
    let vend = limit(variables, "SENTINEL_RATE_LIMIT", 100);
    let limits = Limits {
        vend,
        vend_day: day(variables, vend),
        explain: limit(variables, "SENTINEL_RATE_LIMIT_EXPLAIN", 20),
        read: limit(variables, "SENTINEL_RATE_LIMIT_READ", 100),
        memory_max_keys: memory_max_keys(variables),
    };
    let shared = SharedSettings {
        timeout: Duration::from_millis(
            variables.number("SENTINEL_RATE_LIMIT_TIMEOUT_MS", 50..=5_000, 500).into(),
        ),
        failure_mode: failure_mode(variables),
        breaker: breaker(variables),
    };
    let store = variables
        .table("SENTINEL_RATE_LIMIT_TABLE")
        .map_or(StoreSettings::Memory, |name| StoreSettings::Dynamodb(name, shared));
    RateLimitSettings { limits, store }
}

fn breaker(variables: &mut Variables) -> BreakerSettings {
    const MOST: &str = "SENTINEL_BREAKER_MAX_RESET_SECONDS";
    let reset_seconds = variables.number("SENTINEL_BREAKER_RESET_SECONDS", 1..=3_600, 30);
    let max_reset_seconds = variables.number(MOST, 1..=86_400, reset_seconds.max(60));
    if max_reset_seconds < reset_seconds {
        variables.conflict(MOST, "is below SENTINEL_BREAKER_RESET_SECONDS");
    }
    BreakerSettings {
        failure_threshold: variables.number("SENTINEL_BREAKER_FAILURE_THRESHOLD", 1..=1_000, 5),
        reset_seconds,
        max_reset_seconds,
        half_open_requests: variables.number("SENTINEL_BREAKER_HALF_OPEN_REQUESTS", 1..=100, 3),
    }
}

/// The day's limit. All of it may come at once, as far as the short window lets it.
fn day(variables: &mut Variables, vend: Limit) -> Limit {
    const NAME: &str = "SENTINEL_RATE_LIMIT_DAY_REQUESTS";
    const DAY: NonZeroU32 = NonZeroU32::MIN.saturating_add(86_399);
    let Some(requests) = NonZeroU32::new(variables.number(NAME, 0..=MOST, 0)) else {
        return Limit::Off;
    };
    if vend == Limit::Off {
        variables.conflict(NAME, "needs SENTINEL_RATE_LIMIT_REQUESTS above 0");
    }
    Limit::Quota(Quota::new(requests, DAY, requests))
}

/// The most requests of a quota.
const MOST: u32 = 1_000_000;

fn limit(variables: &mut Variables, prefix: &str, default: u32) -> Limit {
    let requests = variables.number(&format!("{prefix}_REQUESTS"), 0..=MOST, default);
    let window = variables.number(&format!("{prefix}_WINDOW"), 1..=86_400, 60);
    let burst = variables.number(&format!("{prefix}_BURST"), 1..=MOST, requests.max(1));
    match (NonZeroU32::new(requests), NonZeroU32::new(window), NonZeroU32::new(burst)) {
        (Some(requests), Some(window), Some(burst)) => {
            Limit::Quota(Quota::new(requests, window, burst))
        }
        _ => Limit::Off,
    }
}

fn memory_max_keys(variables: &mut Variables) -> NonZeroUsize {
    let keys = variables.number("SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS", 1..=1_000_000, 50_000);
    usize::try_from(keys).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

fn failure_mode(variables: &mut Variables) -> FailureMode {
    const NAME: &str = "SENTINEL_RATE_LIMIT_FAILURE_MODE";
    match variables.text(NAME).as_deref() {
        None | Some("memory") => FailureMode::Memory,
        Some("open") => FailureMode::Open,
        Some("closed") => FailureMode::Closed,
        Some(_) => {
            variables.problem(NAME, "is not one of memory, open, closed");
            FailureMode::Closed
        }
    }
}
