//! Admission: at most so many requests per principal, in two tiers with budgets of their own.
//!
//! Invariant: the key is the verified principal and the tier, never anything the caller chooses. Until a shared store is
//! configured each process counts by itself, so the effective quota is the configured one times the live instances; the
//! start logs a WARN that says so. Deciding locally cannot fail.

mod gcra;
mod memory;

use crate::caller::Principal;
pub use gcra::Quota;
use memory::MemoryStore;
use serde::Serialize;
use std::num::NonZeroUsize;
use time::UtcDateTime;

/// What a request is for, as far as quotas are concerned. Each tier has its own budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Asking for credentials.
    Vend,
    /// Everything else: profiles, health, paths that do not exist.
    Read,
}

impl Tier {
    /// The tier's name in keys, headers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vend => "vend",
            Self::Read => "read",
        }
    }
}

/// Whether a tier is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most this much per principal.
    Quota(Quota),
    /// The operator has switched limiting off (`…_REQUESTS=0`).
    Off,
}

/// The limits of both tiers, and the bound of the local store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The limit of [`Tier::Vend`].
    pub vend: Limit,
    /// The limit of [`Tier::Read`].
    pub read: Limit,
    /// How many principals the local store remembers.
    pub memory_max_keys: NonZeroUsize,
}

impl Limits {
    /// The limit of one tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> Limit {
        match tier {
            Tier::Vend => self.vend,
            Tier::Read => self.read,
        }
    }
}

/// The limiter's answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The tier is not limited.
    Unlimited,
    /// Within the quota.
    Admitted(Standing),
    /// Over the quota.
    Throttled(Standing, RetryAfter),
}

/// Where a principal stands in its quota after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The tier that was charged.
    pub tier: Tier,
    /// The tier's quota.
    pub quota: Quota,
    /// Requests that would be admitted right now.
    pub remaining: u32,
    /// Whole seconds, rounded up, until the full burst is available again.
    pub reset_seconds: u64,
}

/// Whole seconds, rounded up and at least 1, after which a throttled principal is admitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

/// Decides who is admitted. Shared by all requests of the process.
#[derive(Debug)]
pub struct RateLimiter {
    limits: Limits,
    memory: MemoryStore,
}

impl RateLimiter {
    /// A limiter that counts in this process only.
    #[must_use]
    pub fn in_memory(limits: Limits) -> Self {
        Self { memory: MemoryStore::new(limits.memory_max_keys), limits }
    }

    /// The limits it enforces.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Charges one request of `principal` to `tier` at `now`.
    #[must_use]
    pub fn admit(&self, tier: Tier, principal: &Principal, now: UtcDateTime) -> Admission {
        let Limit::Quota(quota) = self.limits.of(tier) else {
            return Admission::Unlimited;
        };
        let now = micros(now);
        match self.memory.admit(&key(tier, principal), &quota, now) {
            Ok(tat) => Admission::Admitted(Standing {
                tier,
                quota,
                remaining: quota.remaining(tat, now),
                reset_seconds: whole_seconds(tat.saturating_sub(now)),
            }),
            Err(wait) => {
                let standing = Standing { tier, quota, remaining: 0, reset_seconds: whole_seconds(wait + quota.tolerance()) };
                Admission::Throttled(standing, RetryAfter(whole_seconds(wait).max(1)))
            }
        }
    }
}

/// The key of a budget: `RL#<tier>#<principal>`.
fn key(tier: Tier, principal: &Principal) -> String {
    format!("RL#{}#{principal}", tier.name())
}

fn micros(at: UtcDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}

fn whole_seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000)
}
