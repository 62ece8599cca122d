//! What the adapters tell of themselves in the audit line of the next request.

use super::{Adapters, ClientTokenCheck};
use crate::audit::Readings;
use crate::rate_limit::{Backend, BreakerState};
use std::sync::atomic::{AtomicU64, Ordering};
use time::UtcDateTime;

/// How much of each running total has been told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    breaker_transitions: AtomicU64,
    store_evictions: AtomicU64,
    secret_refresh_failures: AtomicU64,
    policy_reload_failures: AtomicU64,
}

impl Adapters {
    /// How the adapters are at `now`, and what has happened to them that is not `told` yet. Each event is told once.
    pub(crate) fn readings(&self, told: &Told, now: UtcDateTime) -> Readings {
        let health = self.limiter.health();
        let (breaker_open, transitions) = match health.backend {
            Backend::Memory => (None, 0),
            Backend::Shared { breaker, transitions } => {
                (Some(breaker != BreakerState::Closed), transitions)
            }
        };
        let client_tokens = match &self.client_tokens {
            ClientTokenCheck::NotRequired => None,
            ClientTokenCheck::Required(secret) => Some((secret.age(now), secret.failures())),
        };
        let mdm = self.devices.secret().map(|secret| (secret.age(now), secret.failures()));
        let secrets = || client_tokens.into_iter().chain(mdm);
        Readings {
            breaker_open,
            breaker_transitions: since(&told.breaker_transitions, transitions),
            store_evictions: since(&told.store_evictions, health.usage.evictions),
            secret_age: secrets().filter_map(|(age, _)| age).max(),
            secret_refresh_failures: since(
                &told.secret_refresh_failures,
                secrets().map(|(_, failures)| failures).sum(),
            ),
            policy_reload_failures: since(&told.policy_reload_failures, self.policies.failures()),
        }
    }
}

/// By how much `total` exceeds what was told, which it then is.
fn since(told: &AtomicU64, total: u64) -> u64 {
    total.saturating_sub(told.fetch_max(total, Ordering::Relaxed))
}
