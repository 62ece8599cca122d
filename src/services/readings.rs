//! What the audit line reports about the services, beside the request itself.

use super::Services;
use crate::rate_limit::{Backend, BreakerState};
use std::sync::atomic::{AtomicU64, Ordering};
use time::UtcDateTime;

/// Process-wide readings, and events since the last audit line.
#[derive(Debug, Default, Clone, Copy)]
pub struct ServiceReadings {
    /// Whether the breaker keeps requests from the rate-limit table; `None` without a table.
    pub breaker_open: Option<bool>,
    /// Changes of the breaker's state.
    pub breaker_transitions: u64,
    /// Budgets that the local store remembers.
    pub store_keys: u64,
    /// Budgets that the local store forgot because it was full.
    pub store_evictions: u64,
    /// The age of the oldest cached secret, in seconds; `None` if none is cached.
    pub secret_age: Option<u64>,
    /// Failed reads of a secret.
    pub secret_refresh_failures: u64,
    /// Failed reloads of the policy.
    pub policy_reload_failures: u64,
}

/// How much of each running total the audit lines have reported.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    breaker_transitions: AtomicU64,
    store_evictions: AtomicU64,
    secret_refresh_failures: AtomicU64,
    policy_reload_failures: AtomicU64,
}

impl Services {
    /// The readings at `now`, and every event that is not in `reported` yet. Each event is reported
    /// once.
    pub(crate) fn readings(&self, reported: &Reported, now: UtcDateTime) -> ServiceReadings {
        let health = self.limiter.health(now);
        let (breaker_open, transitions) = match health.backend {
            Backend::Memory => (None, 0),
            Backend::Shared { breaker, transitions, .. } => {
                (Some(breaker != BreakerState::Closed), transitions)
            }
        };
        let tokens = self.client_tokens.secret().map(|secret| (secret.age(now), secret.failures()));
        let mdm = self.devices.secret().map(|secret| (secret.age(now), secret.failures()));
        let secrets = || tokens.into_iter().chain(mdm);
        let failures = secrets().map(|(_, failures)| failures).sum();
        ServiceReadings {
            breaker_open,
            breaker_transitions: growth(&reported.breaker_transitions, transitions),
            store_keys: u64::try_from(health.usage.keys).unwrap_or(u64::MAX),
            store_evictions: growth(&reported.store_evictions, health.usage.evictions),
            secret_age: secrets().filter_map(|(age, _)| age).max(),
            secret_refresh_failures: growth(&reported.secret_refresh_failures, failures),
            policy_reload_failures: growth(
                &reported.policy_reload_failures,
                self.policies.failures(),
            ),
        }
    }
}

/// The growth of `total` since the last report; records `total` as reported.
fn growth(reported: &AtomicU64, total: u64) -> u64 {
    total.saturating_sub(reported.fetch_max(total, Ordering::Relaxed))
}
