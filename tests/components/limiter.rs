//! The limiter with its table: an embedded DynamoDB, real requests, and faults on purpose.

mod blocks;
mod day;
mod edges;
mod faults;
mod recovery;
mod security;
mod timing;
mod writes;

use crate::support::{self, Dynamo, TABLE};
use sentinel_tvm::{
    Admission, BreakerSettings, Caller, DynamoTable, FailureMode, IamIdentity, Limit, Limits,
    NamedSessionRoles, Outcome, Principal, Quota, RateLimiter, SharedSettings, Tier,
};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;
use time::UtcDateTime;

/// `requests` in 60 seconds, all at once if wished.
fn quota(requests: u32) -> Quota {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Quota::new(whole(requests), whole(60), whole(requests))
}

fn limits(vend: Quota) -> Limits {
    Limits {
        vend: Limit::Quota(vend),
        vend_day: Limit::Off,
        explain: Limit::Off,
        read: Limit::Quota(quota(2)),
        memory_max_keys: NonZeroUsize::new(1_000).unwrap(),
    }
}

/// A time-out that no answering table meets, however busy the machine.
const SETTINGS: SharedSettings = SharedSettings {
    timeout: Duration::from_mins(1),
    failure_mode: FailureMode::Memory,
    breaker: BreakerSettings {
        failure_threshold: 5,
        reset_seconds: 30,
        max_reset_seconds: 60,
        half_open_requests: 3,
    },
};

async fn limiter(uri: &str, vend: Quota, settings: SharedSettings) -> RateLimiter {
    let table = DynamoTable::new(&support::sdk_config(uri).await, TABLE, settings.timeout);
    RateLimiter::shared(limits(vend), table, settings)
}

/// A limiter of its own, as every instance of the function has, on the same table.
async fn instance(dynamo: &Dynamo, vend: Quota) -> RateLimiter {
    limiter(dynamo.uri(), vend, SETTINGS).await
}

fn user(name: &str) -> Principal {
    let arn = format!("arn:aws:iam::123456789012:user/{name}");
    let named = NamedSessionRoles::default();
    Caller::verified(&IamIdentity::of_arn(&arn), None, named.of_function_in(None))
        .unwrap()
        .principal()
        .clone()
}

fn key(name: &str) -> String {
    format!("RL#vend#{}", user(name))
}

fn start() -> UtcDateTime {
    support::wednesday_morning()
}

fn after(seconds: f64) -> UtcDateTime {
    start() + time::Duration::seconds_f64(seconds)
}

fn whole_day() -> UtcDateTime {
    start() + time::Duration::DAY
}

fn micros(at: UtcDateTime) -> u64 {
    u64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap()
}

async fn admit(limiter: &RateLimiter, name: &str, now: UtcDateTime) -> Admission {
    limiter.admit(Tier::Vend, &user(name), now).await
}

fn passes(admission: &Admission) -> bool {
    matches!(admission.outcome, Outcome::Admitted(_) | Outcome::Uncounted)
}
