//! The limiter's input and output.

use super::breaker::BreakerState;
use super::gcra::Quota;
use super::local::Usage;
use super::table::StoreError;
use super::windows::Windows;
use serde::Serialize;
use std::num::{NonZeroU32, NonZeroUsize};
use time::UtcDateTime;

/// A class of requests. Each tier has its own quota and budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Requests for credentials.
    Vend,
    /// Dry runs: each evaluates the policy many times, and may ask the device management.
    Explain,
    /// All other requests: profiles, paths that do not exist.
    Read,
    /// The function's state. Each instance counts by itself, so that it stays readable while the
    /// table is out of reach or another tier is exhausted.
    Health,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 4] = [Self::Vend, Self::Explain, Self::Read, Self::Health];

    /// The tier's name in keys, headers and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vend => "vend",
            Self::Explain => "explain",
            Self::Read => "read",
            Self::Health => "health",
        }
    }
}

/// The name of the day's window of [`Tier::Vend`] in headers and logs.
pub(crate) const DAY: &str = "vend-day";

/// Whether a tier is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most this much per principal.
    Quota(Quota),
    /// No limit (`…_REQUESTS=0`).
    Off,
}

/// The limits of all tiers, and the bound of the local store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The limit of [`Tier::Vend`].
    pub vend: Limit,
    /// The limit of [`Tier::Explain`].
    pub explain: Limit,
    /// The limit of [`Tier::Read`].
    pub read: Limit,
    /// The limit of [`Tier::Vend`] for a day. It holds only beside a limit of the short window.
    pub vend_day: Limit,
    /// How many budgets (a principal and a tier) the local store remembers.
    pub memory_max_keys: NonZeroUsize,
}

impl Limits {
    /// The limit of one tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> Limit {
        match tier {
            Tier::Vend => self.vend,
            Tier::Explain => self.explain,
            Tier::Read => self.read,
            Tier::Health => Limit::Quota(HEALTH),
        }
    }

    /// The quotas of all windows of one tier; `None` if it is not limited.
    pub(super) fn quotas(&self, tier: Tier) -> Option<Windows<Quota>> {
        let day = match (tier, self.vend_day) {
            (Tier::Vend, Limit::Quota(day)) => Some(day),
            _ => None,
        };
        match self.of(tier) {
            Limit::Quota(short) => Some(Windows { short, day }),
            Limit::Off => None,
        }
    }
}

/// The limit of [`Tier::Health`]: one request a second in each instance. It is there to keep a loop
/// from filling the log, not to protect anything else.
const HEALTH: Quota = Quota::new(SIXTY, SIXTY, SIXTY);
const SIXTY: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Who decides while the shared table is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureMode {
    /// This process, from its local store.
    Memory,
    /// Nobody: every request passes.
    Open,
    /// Nobody: every request is refused.
    Closed,
}

impl FailureMode {
    /// The mode's name in settings and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// The limiter's answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Whether the request may continue.
    pub outcome: Outcome,
    /// Who decided.
    pub decided_by: DecidedBy,
    /// Attempted writes to the shared table.
    pub writes: u32,
}

/// Whether a request may continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Yes, and nothing was counted.
    Uncounted,
    /// Yes, within the quota.
    Admitted(QuotaStatus),
    /// No, it is over the quota.
    Throttled(QuotaStatus, RetryAfter),
    /// No, an operator has blocked the principal until this time.
    Blocked(UtcDateTime),
    /// No: the table did not decide ([`FailureMode::Closed`]).
    Unavailable,
}

/// Who decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedBy {
    /// Nobody: the tier is not limited.
    Off,
    /// This process, which has no shared table.
    Memory,
    /// The shared table.
    Table,
    /// This process, because it saw a block in the table, or a TAT that is over the quota.
    Mirror,
    /// The failure mode, because the table did not decide.
    Fallback(FailureMode, Degraded),
}

/// Why the table did not decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Degraded {
    /// The breaker is open, or enough probes are running.
    #[error("breaker open")]
    BreakerOpen,
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Degraded {
    /// Who decides instead: in an outage, the configured mode. Throttling is not an outage, and a
    /// caller can cause it by a flood. It must neither open the door for that caller (`open`) nor
    /// close it for others on the same partition (`closed`), except for those that this process does
    /// not know.
    pub(super) fn mode(&self, configured: FailureMode) -> FailureMode {
        if self.is_throttling() { FailureMode::Memory } else { configured }
    }

    /// Whether the table is there, but did not decide about this key.
    pub(super) fn is_throttling(&self) -> bool {
        matches!(self, Self::Store(StoreError::Throttled(_) | StoreError::Contended))
    }
}

/// The state of a principal's budget after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStatus {
    /// The tier that was charged.
    pub tier: Tier,
    /// Each of its windows.
    pub windows: Windows<WindowStatus>,
}

/// The state of one window of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowStatus {
    /// The quota of the window.
    pub quota: Quota,
    /// Requests that this window would admit right now.
    pub remaining: u32,
    /// Whole seconds, rounded up, until the full burst is available again.
    pub reset_seconds: u64,
}

impl QuotaStatus {
    pub(super) fn of(tier: Tier, quotas: Windows<Quota>, tats: Windows<u64>, now: u64) -> Self {
        let status = |(quota, tat): (Quota, u64)| WindowStatus {
            quota,
            remaining: quota.remaining(tat, now),
            reset_seconds: whole_seconds(tat.saturating_sub(now)),
        };
        Self { tier, windows: quotas.zip(tats).map(status) }
    }
}

/// Whole seconds, rounded up and at least 1, after which a throttled principal is admitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter(pub u64);

impl RetryAfter {
    pub(super) fn of(micros: u64) -> Self {
        Self(whole_seconds(micros).max(1))
    }
}

fn whole_seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000)
}

/// The limiter's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterHealth {
    /// The limits in force.
    pub limits: Limits,
    /// The back end, and its breaker.
    pub backend: Backend,
    /// The local store.
    pub usage: Usage,
}

impl LimiterHealth {
    /// Which blocks keep a principal from credentials now.
    #[must_use]
    pub fn blocks(&self) -> Blocks {
        match (self.limits.vend, self.backend) {
            (Limit::Off, _) | (_, Backend::Memory) => Blocks::Off,
            (_, Backend::Shared { breaker, failure_mode, admits_unchecked, .. }) => {
                let decides =
                    breaker == BreakerState::Closed || failure_mode == FailureMode::Closed;
                if decides && !admits_unchecked { Blocks::Enforced } else { Blocks::Known }
            }
        }
    }
}

/// Which blocks keep a principal from credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocks {
    /// Every block: the table decides each request, or nobody is admitted without it.
    Enforced,
    /// Only blocks that this process saw before the table stopped to decide, now or within the last
    /// minute.
    Known,
    /// None: there is no table, or the tier of credentials is not limited.
    Off,
}

/// Where requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In each process.
    Memory,
    /// In a shared table.
    Shared {
        /// The breaker's state.
        breaker: BreakerState,
        /// Changes of that state since the start.
        transitions: u64,
        /// Whether the table answered the last request that asked it; also before the first one.
        healthy: bool,
        /// Who decides while the table is out of reach.
        failure_mode: FailureMode,
        /// Whether this process admitted a request without the table within the last minute.
        admits_unchecked: bool,
    },
}
