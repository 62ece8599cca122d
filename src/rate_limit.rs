//! The rate limit: a quota per principal and tier; for credentials also one for the day.
//!
//! With a shared table the quota holds across all instances; without one each process counts by
//! itself. Every answer says which of them decided.
//!
//! Invariants:
//! - The key is the verified principal and the tier, never something that the caller chooses.
//! - A refusal that this process is sure of costs no write.
//! - Requests that this process admitted without the table are *owed*: the next write charges them.
//! - A request that one window refuses is charged to neither.
//! - A blocked principal is refused by the write that would have charged it, and is never charged.
//! - Where the table throttles, a principal for which it never answered this process is refused: it
//!   could be blocked, and a flood of its own can cause the throttling.
//! - Health never waits for the table.
//!
//! If the table does not answer, the [`FailureMode`] decides. By default this process decides from
//! the state it knows, so that an outage neither lets all requests through nor refuses them all. A
//! [breaker](BreakerState) keeps a table that is down from slowing every request.

mod admission;
mod breaker;
mod dynamodb;
mod gcra;
mod local;
mod table;
mod windows;

pub(crate) use admission::DAY;
pub use admission::{
    Admission, Backend, Blocks, DecidedBy, Degraded, FailureMode, Limit, LimiterHealth, Limits,
    Outcome, QuotaStatus, RetryAfter, Tier, WindowStatus,
};
pub use breaker::{BreakerSettings, BreakerState};
pub use dynamodb::DynamoTable;
pub use gcra::Quota;
pub use local::Usage;
pub use table::{Charge, Charged, Form, Step, StoreError, Table};
pub use windows::Windows;

use crate::caller::Principal;
use breaker::Breaker;
use local::{BYTES_PER_KEY, Known, LocalStore};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use table::{Request, TableDecision};
use time::UtcDateTime;

/// The settings of the rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// The limits of all tiers.
    pub limits: Limits,
    /// Where requests are counted.
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

/// The settings of a shared table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedSettings {
    /// The longest wait for the table in one decision.
    pub timeout: Duration,
    /// What happens if the table does not decide.
    pub failure_mode: FailureMode,
    /// When the table gets no more requests.
    pub breaker: BreakerSettings,
}

/// The rate limiter. All requests of the process share it.
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
    /// When this process last admitted a request without the table, in microseconds since the Unix
    /// epoch; 0 for never.
    last_unchecked: AtomicU64,
}

/// For how long, in microseconds, health reports that a request was admitted without the table.
const RECENTLY: u64 = 60_000_000;

/// One request to charge. Times are microseconds since the Unix epoch.
struct Counted<'a> {
    key: &'a str,
    tier: Tier,
    quotas: Windows<Quota>,
    now: u64,
}

impl Counted<'_> {
    fn status(&self, tats: Windows<u64>) -> QuotaStatus {
        QuotaStatus::of(self.tier, self.quotas, tats, self.now)
    }

    fn admitted(&self, tats: Windows<u64>) -> Outcome {
        Outcome::Admitted(self.status(tats))
    }

    fn throttled(&self, tats: Windows<u64>) -> Outcome {
        let wait = self.quotas.over(tats, self.now);
        Outcome::Throttled(self.status(tats), RetryAfter::of(wait))
    }

    /// A refusal of somebody who may be within the quota: the table may answer in a moment.
    fn unknown(&self, tats: Windows<u64>) -> Outcome {
        Outcome::Throttled(self.status(tats), RetryAfter::of(0))
    }

    /// A block without an end is reported with the last second that RFC 3339 can write.
    fn blocked(until: u64) -> Outcome {
        const LAST: u64 = 253_402_300_799;
        let seconds = i64::try_from(until.div_ceil(1_000_000).min(LAST)).unwrap_or(i64::MAX);
        Outcome::Blocked(UtcDateTime::from_unix_timestamp(seconds).unwrap_or(UtcDateTime::MAX))
    }
}

impl RateLimiter {
    /// The limiter that `settings` ask for, its table (if any) in the region, at the endpoint and
    /// with the credentials of `aws`.
    ///
    /// # Errors
    /// The problem, if no request could ever reach the table. A table that is only out of reach is
    /// none: the failure mode decides until it answers.
    pub fn new(
        settings: &RateLimitSettings,
        aws: &aws_config::SdkConfig,
    ) -> Result<Self, &'static str> {
        announce(settings);
        match &settings.store {
            StoreSettings::Memory => Ok(Self::in_memory(settings.limits)),
            StoreSettings::Dynamodb(..) if aws.region().is_none() => Err(NO_REGION),
            StoreSettings::Dynamodb(name, shared) => {
                let table = DynamoTable::new(aws, name, shared.timeout);
                Ok(Self::shared(settings.limits, table, *shared))
            }
        }
    }
}

const NO_REGION: &str =
    "AWS_REGION is not set: the table in SENTINEL_RATE_LIMIT_TABLE is in a Region";

impl<T: Table> RateLimiter<T> {
    /// A limiter that counts in this process only.
    #[must_use]
    pub fn in_memory(limits: Limits) -> Self {
        Self { local: LocalStore::new(limits.memory_max_keys), limits, store: Store::Memory }
    }

    /// A limiter that counts in a shared table.
    #[must_use]
    pub fn shared(limits: Limits, table: T, settings: SharedSettings) -> Self {
        let breaker = Breaker::new(settings.breaker);
        let shared = Shared { table, breaker, settings, last_unchecked: AtomicU64::new(0) };
        Self {
            local: LocalStore::new(limits.memory_max_keys),
            limits,
            store: Store::Shared(shared),
        }
    }

    /// The limiter's state at `now`.
    #[must_use]
    pub fn health(&self, now: UtcDateTime) -> LimiterHealth {
        let backend = match &self.store {
            Store::Memory => Backend::Memory,
            Store::Shared(Shared { breaker, settings, last_unchecked, .. }) => Backend::Shared {
                admits_unchecked: is_recent(last_unchecked.load(Relaxed), micros(now)),
                breaker: breaker.state(),
                transitions: breaker.transitions(),
                healthy: breaker.is_healthy(),
                failure_mode: settings.failure_mode,
            },
        };
        LimiterHealth { limits: self.limits, backend, usage: self.local.usage() }
    }

    /// Opens a connection to the table with a write whose condition never holds. So a wrong name or
    /// a missing permission shows before the first request. A failure is logged, and counts for the
    /// breaker.
    pub(crate) async fn warm(&self, now: UtcDateTime) {
        if let Store::Shared(shared) = &self.store {
            let never = Step { form: Form::Ahead, growth: 0, latest: 0 };
            let steps = Windows { short: never, day: None };
            let no_charge = Charge { now: micros(now), steps, expires: 0 };
            let answer = shared.table.charge("RL#warm", &no_charge).await;
            shared.report(answer.as_ref().err(), no_charge.now);
        }
    }

    /// Charges one request of `principal` to `tier` at `now`.
    pub async fn admit(&self, tier: Tier, principal: &Principal, now: UtcDateTime) -> Admission {
        let Some(quotas) = self.limits.quotas(tier) else {
            return Admission {
                outcome: Outcome::Uncounted,
                decided_by: DecidedBy::Off,
                writes: 0,
            };
        };
        let key = format!("RL#{}#{principal}", tier.name());
        let request = Counted { key: &key, tier, quotas, now: micros(now) };
        match &self.store {
            Store::Shared(shared) if tier != Tier::Health => {
                self.admit_by_table(shared, &request).await
            }
            Store::Memory | Store::Shared(_) => Admission {
                outcome: self.admit_here(&request),
                decided_by: DecidedBy::Memory,
                writes: 0,
            },
        }
    }

    async fn admit_by_table(&self, shared: &Shared<T>, request: &Counted<'_>) -> Admission {
        let (known, owed) = match self.local.consult(request.key, request.quotas, request.now) {
            Known::Blocked { until } => {
                return Admission {
                    outcome: Counted::blocked(until),
                    decided_by: DecidedBy::Mirror,
                    writes: 0,
                };
            }
            Known::Refused { tats } => {
                return Admission {
                    outcome: request.throttled(tats),
                    decided_by: DecidedBy::Mirror,
                    writes: 0,
                };
            }
            Known::Open { table, owed } => (table, owed),
        };
        let mut writes = 0;
        let (outcome, decided_by) = match shared.decide(request, known, owed, &mut writes).await {
            Ok(TableDecision::Admitted(tats)) => {
                self.local.learn(request.key, tats, owed, request.now);
                (request.admitted(tats), DecidedBy::Table)
            }
            Ok(TableDecision::Refused(tats)) => {
                self.local.learn(request.key, tats, owed.map(|_| 0), request.now);
                (
                    request.throttled(self.local.give_back(request.key, owed, request.now)),
                    DecidedBy::Table,
                )
            }
            Ok(TableDecision::Blocked(until)) => {
                self.local.give_back(request.key, owed, request.now);
                self.local.learn_block(request.key, until, request.now);
                (Counted::blocked(until), DecidedBy::Table)
            }
            Err(degraded) => {
                self.local.give_back(request.key, owed, request.now);
                let mode = degraded.mode(shared.settings.failure_mode);
                let outcome = self.fall_back(mode, &degraded, request);
                if matches!(outcome, Outcome::Admitted(_) | Outcome::Uncounted) {
                    shared.last_unchecked.fetch_max(request.now, Relaxed);
                }
                (outcome, DecidedBy::Fallback(mode, degraded))
            }
        };
        Admission { outcome, decided_by, writes }
    }

    /// A block that this process knows holds in every mode. While the table throttles, nobody else is
    /// admitted for whom it never answered.
    fn fall_back(&self, mode: FailureMode, why: &Degraded, request: &Counted<'_>) -> Outcome {
        let (key, now) = (request.key, request.now);
        if let Some(until) = self.local.block(key, now) {
            return Counted::blocked(until);
        }
        if why.is_throttling() && !self.local.is_answered(key, now) {
            return request.unknown(self.local.tats(key, request.quotas, now));
        }
        match mode {
            FailureMode::Memory => self.admit_here(request),
            FailureMode::Open => Outcome::Uncounted,
            FailureMode::Closed => Outcome::Unavailable,
        }
    }

    fn admit_here(&self, request: &Counted<'_>) -> Outcome {
        match self.local.admit(request.key, request.quotas, request.now) {
            Ok(tats) => request.admitted(tats),
            Err(tats) => request.throttled(tats),
        }
    }
}

impl<T: Table> Shared<T> {
    /// Asks the table, if the breaker permits it, and waits no longer than the time-out.
    async fn decide(
        &self,
        request: &Counted<'_>,
        known: Windows<u64>,
        owed: Windows<u64>,
        writes: &mut u32,
    ) -> Result<TableDecision, Degraded> {
        if !self.breaker.permits(request.now) {
            return Err(Degraded::BreakerOpen);
        }
        let asked =
            Request { key: request.key, quotas: request.quotas, now: request.now, known, owed };
        let answer =
            tokio::time::timeout(self.settings.timeout, asked.decide(&self.table, writes)).await;
        let answer = answer.unwrap_or_else(|_| Err(StoreError::Unreachable("time-out".to_owned())));
        self.report(answer.as_ref().err(), request.now);
        Ok(answer?)
    }

    /// Reports to the breaker and the log. A table that throttles one key has answered: that is not
    /// an outage.
    fn report(&self, error: Option<&StoreError>, now: u64) {
        match error {
            None | Some(StoreError::Throttled(_) | StoreError::Contended) => {
                self.breaker.succeeded();
            }
            Some(StoreError::Unreachable(_) | StoreError::Misconfigured(_)) => {
                self.breaker.failed(now);
            }
        }
        if let Some(error) = error {
            log(error);
        }
    }
}

fn announce(settings: &RateLimitSettings) {
    let on = |tier, quota: Quota| {
        let (requests, burst) = (quota.requests(), quota.burst());
        let window_seconds = quota.window_seconds();
        tracing::info!(tier, requests, window_seconds, burst, "rate limiting is on");
    };
    for tier in Tier::ALL {
        match settings.limits.of(tier) {
            Limit::Off => tracing::warn!(tier = tier.name(), "rate limiting is off"),
            Limit::Quota(quota) => on(tier.name(), quota),
        }
    }
    if let Limit::Quota(quota) = settings.limits.vend_day {
        on(DAY, quota);
    }
    match &settings.store {
        StoreSettings::Memory => tracing::warn!(
            "rate limits are counted in memory: each instance counts by itself, so they do not hold across instances; set SENTINEL_RATE_LIMIT_TABLE to share them"
        ),
        StoreSettings::Dynamodb(table, shared) => tracing::info!(
            table,
            failure_mode = shared.failure_mode.name(),
            timeout_ms = shared.timeout.as_millis(),
            "rate limits are counted in DynamoDB"
        ),
    }
    announce_memory(settings.limits.memory_max_keys.get());
}

/// Lambda's memory is small, so a large bound should be a choice.
fn announce_memory(max_keys: usize) {
    const MANY: usize = 100_000;
    if max_keys > MANY {
        let megabytes = (max_keys * BYTES_PER_KEY).div_ceil(1_000_000);
        tracing::warn!(
            max_keys,
            megabytes,
            "SENTINEL_RATE_LIMIT_MEMORY_MAX_KEYS is above 100000: the limiter's local store may need this much memory"
        );
    }
}

fn log(error: &StoreError) {
    if let StoreError::Misconfigured(_) = error {
        tracing::error!(%error, "the rate-limit table cannot be used: check its name, its key PK and dynamodb:UpdateItem");
    } else {
        tracing::warn!(%error, "the rate-limit table did not decide");
    }
}

/// Whether `at` is within a minute of `now`, whatever the clock did in between.
fn is_recent(at: u64, now: u64) -> bool {
    at.abs_diff(now) < RECENTLY
}

fn micros(at: UtcDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(0)
}
