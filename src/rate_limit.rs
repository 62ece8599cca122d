//! Admission: at most so many requests per principal, in two tiers with budgets of their own.
//!
//! With a shared table the quota holds across every instance; without one each process counts by itself. Who decided is part
//! of the answer. Invariants: the key is the verified principal and the tier, never anything the caller chooses; a refusal
//! that this process is sure of costs no write; what it admitted without the table is owed to the table.
//!
//! When the table is out of reach, the [`FailureMode`] decides, by default from what this process knows; requests are neither
//! all let through nor all refused. A [breaker](BreakerState) keeps a table that is down from slowing every request.

mod admission;
mod breaker;
mod dynamodb;
mod gcra;
mod local;
mod table;

pub use admission::{
    Admission, Backend, DecidedBy, Degraded, FailureMode, Limit, LimiterHealth, Limits, Outcome,
    RetryAfter, Standing, Tier,
};
pub use breaker::{BreakerSettings, BreakerState};
pub use dynamodb::DynamoTable;
pub use gcra::Quota;
pub use local::Usage;
pub use table::{Charge, Charged, Form, StoreError, Table};

use crate::caller::Principal;
use breaker::Breaker;
use local::{Known, LocalStore};
use std::time::Duration;
use table::{Request, Verdict};
use time::UtcDateTime;

/// How requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// The limits of both tiers.
    pub limits: Limits,
    /// Where they are counted.
    pub store: StoreSettings,
}

/// Where requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// In each process.
    Memory,
    /// In the DynamoDB table of this name.
    Dynamodb(String, SharedSettings),
}

/// How a shared table is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSettings {
    /// The longest that one decision may wait for the table.
    pub timeout: Duration,
    /// What happens when it does not decide.
    pub failure_mode: FailureMode,
    /// When it is no longer asked.
    pub breaker: BreakerSettings,
}

/// Decides who is admitted. Shared by all requests of the process.
#[derive(Debug)]
pub struct RateLimiter<T = DynamoTable> {
    limits: Limits,
    local: LocalStore,
    store: Store<T>,
}

#[derive(Debug)]
enum Store<T> {
    Memory,
    Shared(Shared<T>),
}

#[derive(Debug)]
struct Shared<T> {
    table: T,
    settings: SharedSettings,
    breaker: Breaker,
}

/// One request, in the limiter's terms.
struct Counted<'a> {
    key: &'a str,
    tier: Tier,
    quota: Quota,
    now: u64,
}

impl Counted<'_> {
    fn admitted(&self, tat: u64) -> Outcome {
        Outcome::Admitted(Standing::of(self.tier, self.quota, tat, self.now))
    }

    fn throttled(&self, tat: u64) -> Outcome {
        let wait = tat.saturating_sub(self.quota.latest(self.now));
        Outcome::Throttled(Standing::of(self.tier, self.quota, tat, self.now), RetryAfter::of(wait))
    }
}

impl RateLimiter {
    /// The limiter that `settings` ask for, its table (if any) on the region, endpoint and credentials of `aws`.
    #[must_use]
    pub fn new(settings: &RateLimitSettings, aws: &aws_config::SdkConfig) -> Self {
        match &settings.store {
            StoreSettings::Memory => Self::in_memory(settings.limits),
            StoreSettings::Dynamodb(name, shared) => {
                Self::shared(settings.limits, DynamoTable::new(aws, name, shared.timeout), *shared)
            }
        }
    }
}

impl<T: Table> RateLimiter<T> {
    /// A limiter that counts in this process only.
    #[must_use]
    pub fn in_memory(limits: Limits) -> Self {
        Self { local: LocalStore::new(limits.memory_max_keys), limits, store: Store::Memory }
    }

    /// A limiter that counts in a shared table.
    #[must_use]
    pub fn shared(limits: Limits, table: T, settings: SharedSettings) -> Self {
        let shared = Shared { table, breaker: Breaker::new(settings.breaker), settings };
        Self {
            local: LocalStore::new(limits.memory_max_keys),
            limits,
            store: Store::Shared(shared),
        }
    }

    /// How the limiter is doing.
    #[must_use]
    pub fn health(&self) -> LimiterHealth {
        let backend = match &self.store {
            Store::Memory => Backend::Memory,
            Store::Shared(Shared { breaker, .. }) => {
                Backend::Shared { breaker: breaker.state(), transitions: breaker.transitions() }
            }
        };
        LimiterHealth { limits: self.limits, backend, usage: self.local.usage() }
    }

    /// Opens a connection to the table, with a write that its condition keeps from happening, and so finds out a wrong name or a
    /// missing permission before the first request. What fails is logged.
    pub(crate) async fn warm(&self, now: UtcDateTime) {
        if let Store::Shared(shared) = &self.store {
            let nothing =
                Charge { form: Form::Ahead, now: micros(now), step: 0, latest: 0, expires: 0 };
            if let Err(error) = shared.table.charge("RL#warm", &nothing).await {
                log(&error);
            }
        }
    }

    /// Charges one request of `principal` to `tier` at `now`.
    pub async fn admit(&self, tier: Tier, principal: &Principal, now: UtcDateTime) -> Admission {
        let Limit::Quota(quota) = self.limits.of(tier) else {
            return Admission {
                outcome: Outcome::Uncounted,
                decided_by: DecidedBy::Off,
                writes: 0,
            };
        };
        let key = format!("RL#{}#{principal}", tier.name());
        let request = Counted { key: &key, tier, quota, now: micros(now) };
        match &self.store {
            Store::Memory => Admission {
                outcome: self.admit_here(&request),
                decided_by: DecidedBy::Memory,
                writes: 0,
            },
            Store::Shared(shared) => self.admit_by_table(shared, &request).await,
        }
    }

    async fn admit_by_table(&self, shared: &Shared<T>, request: &Counted<'_>) -> Admission {
        let (known, owed) = match self.local.consult(request.key, &request.quota, request.now) {
            Known::Refused { tat } => {
                return Admission {
                    outcome: request.throttled(tat),
                    decided_by: DecidedBy::Mirror,
                    writes: 0,
                };
            }
            Known::Open { table, owed } => (table, owed),
        };
        let mut writes = 0;
        let (outcome, decided_by) = match shared.decide(request, known, owed, &mut writes).await {
            Ok(Verdict::Admitted(tat)) => {
                self.local.learn(request.key, tat, request.now);
                (request.admitted(tat), DecidedBy::Table)
            }
            Ok(Verdict::Refused(tat)) => {
                self.local.learn(request.key, tat, request.now);
                (
                    request.throttled(self.local.give_back(request.key, owed, request.now)),
                    DecidedBy::Table,
                )
            }
            Err(degraded) => {
                self.local.give_back(request.key, owed, request.now);
                let mode = degraded.mode(shared.settings.failure_mode);
                (self.fall_back(mode, request), DecidedBy::Fallback(mode, degraded))
            }
        };
        Admission { outcome, decided_by, writes }
    }

    fn fall_back(&self, mode: FailureMode, request: &Counted<'_>) -> Outcome {
        match mode {
            FailureMode::Memory => self.admit_here(request),
            FailureMode::Open => Outcome::Uncounted,
            FailureMode::Closed => Outcome::Unavailable,
        }
    }

    fn admit_here(&self, request: &Counted<'_>) -> Outcome {
        match self.local.admit(request.key, &request.quota, request.now) {
            Ok(tat) => request.admitted(tat),
            Err(wait) => request.throttled(request.quota.latest(request.now) + wait),
        }
    }
}

impl<T: Table> Shared<T> {
    /// Asks the table, if the breaker permits, for no longer than the time-out.
    async fn decide(
        &self,
        request: &Counted<'_>,
        known: u64,
        owed: u64,
        writes: &mut u32,
    ) -> Result<Verdict, Degraded> {
        if !self.breaker.permits(request.now) {
            return Err(Degraded::BreakerOpen);
        }
        let asked =
            Request { key: request.key, quota: &request.quota, now: request.now, known, owed };
        let answer =
            tokio::time::timeout(self.settings.timeout, asked.decide(&self.table, writes)).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::Unreachable("time-out".to_owned())));
        self.report(answer.as_ref().err(), request.now);
        Ok(answer?)
    }

    /// Tells the breaker and the log. A table that is busy with one key has answered, which is no outage.
    fn report(&self, error: Option<&StoreError>, now: u64) {
        match error {
            None | Some(StoreError::Throttled(_) | StoreError::Contended) => {
                self.breaker.succeeded()
            }
            Some(StoreError::Unreachable(_) | StoreError::Misconfigured(_)) => {
                self.breaker.failed(now)
            }
        }
        if let Some(error) = error {
            log(error);
        }
    }
}

fn log(error: &StoreError) {
    if let StoreError::Misconfigured(_) = error {
        tracing::error!(%error, "the rate-limit table cannot be used: check its name, its key PK and dynamodb:UpdateItem");
    } else {
        tracing::warn!(%error, "the rate-limit table did not decide");
    }
}

fn micros(at: UtcDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}
