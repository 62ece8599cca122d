//! What a decision of the limiter costs, each time beside something else that runs in the same
//! process, in turn with it:
//!
//! - the local store beside the `governor` crate, which keeps the same kind of number in a map
//!   without a bound;
//! - the shared store beside a bare `UpdateItem` on the same embedded DynamoDB, over HTTP;
//! - the shared store with a limit for the day beside the same without.
//!
//! `make bench` runs it. Times differ between machines and moments; the ratios are what to look at.

#![expect(clippy::unwrap_used, reason = "a program for the terminal")]

mod pair;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::Database;
use governor::clock::FakeRelativeClock;
use pair::pair;
use sentinel_tvm::{
    BreakerSettings, Caller, DecidedBy, DynamoTable, FailureMode, Https, IamIdentity, Limit,
    Limits, NamedSessionRoles, Principal, Quota, RateLimiter, SharedSettings, Tier, TrustedRoots,
};
use serde_json::json;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;
use time::UtcDateTime;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const CALLERS: usize = 10_000;

fn main() {
    let runtime = Runtime::new().unwrap();
    local(&runtime);
    shared(&runtime);
}

/// Quotas that nobody exhausts, so that every request takes the whole way.
fn limits() -> Limits {
    let plenty = NonZeroU32::new(1_000_000).unwrap();
    let limit = Limit::Quota(Quota::new(plenty, NonZeroU32::MIN, plenty));
    Limits {
        vend: limit,
        explain: limit,
        read: limit,
        vend_day: Limit::Off,
        memory_max_keys: NonZeroUsize::new(50_000).unwrap(),
    }
}

fn principals() -> Vec<Principal> {
    let named = NamedSessionRoles::default();
    let principal = |index| {
        let arn = format!("arn:aws:iam::123456789012:user/caller-{index}");
        Caller::verified(&IamIdentity::of_arn(&arn), None, named.of_function_in(None))
            .unwrap()
            .principal()
            .clone()
    };
    (0..CALLERS).map(principal).collect()
}

fn midnight() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_767_225_600).unwrap()
}

fn local(runtime: &Runtime) {
    let callers = principals();
    let limiter = RateLimiter::<DynamoTable>::in_memory(limits());
    let (mut now, mut turn) = (midnight(), 0);
    let ours = || {
        turn = (turn + 7) % CALLERS;
        now += time::Duration::microseconds(1);
        std::hint::black_box(runtime.block_on(limiter.admit(Tier::Vend, &callers[turn], now)));
    };
    let clock = FakeRelativeClock::default();
    let plenty = NonZeroU32::new(1_000_000).unwrap();
    let governor = governor::RateLimiter::dashmap_with_clock(
        governor::Quota::per_second(plenty),
        clock.clone(),
    );
    let mut their_turn = 0;
    let theirs = || {
        their_turn = (their_turn + 7) % CALLERS;
        clock.advance(Duration::from_micros(1));
        let _ =
            std::hint::black_box(governor.check_key(&format!("RL#vend#{}", callers[their_turn])));
    };
    let _ = pair(
        "local store, 10 000 principals",
        20_000,
        ("sentinel-tvm (bounded LRU)", ours),
        ("governor (unbounded map)", theirs),
    );
}

fn shared(runtime: &Runtime) {
    let config = runtime.block_on(emulator());
    let principal = principals().remove(0);
    let breaker = BreakerSettings {
        failure_threshold: 5,
        reset_seconds: 30,
        max_reset_seconds: 60,
        half_open_requests: 3,
    };
    let settings = SharedSettings {
        timeout: Duration::from_secs(10),
        failure_mode: FailureMode::Closed,
        breaker,
    };
    let one_decision = |limits, principal: Principal| {
        let table = DynamoTable::new(&config, "limits", settings.timeout);
        let limiter = RateLimiter::shared(limits, table, settings);
        let mut now = midnight();
        move || {
            now += time::Duration::microseconds(10);
            let admission = runtime.block_on(limiter.admit(Tier::Vend, &principal, now));
            assert_eq!((admission.decided_by, admission.writes), (DecidedBy::Table, 1));
        }
    };
    let ours = one_decision(limits(), principal);
    let client = aws_sdk_dynamodb::Client::new(&config);
    let theirs = || {
        let update = client
            .update_item()
            .table_name("limits")
            .key("PK", AttributeValue::S("bare".to_owned()));
        let update = update
            .update_expression("ADD N :one")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        runtime.block_on(update.send()).unwrap();
    };
    let _ =
        pair("shared store, over HTTP", 500, ("one decision", ours), ("a bare UpdateItem", theirs));
    let mut callers = principals().into_iter().skip(1);
    let mut next = || callers.next().unwrap();
    let with_day = Limits { vend_day: a_million_a_day(), ..limits() };
    let two = one_decision(with_day, next());
    let one = one_decision(limits(), next());
    let _ = pair("a limit for the day", 500, ("two windows", two), ("one window", one));
}

fn a_million_a_day() -> Limit {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Limit::Quota(Quota::new(whole(1_000_000), whole(86_400), whole(1_000_000)))
}

/// An embedded DynamoDB with one table.
async fn emulator() -> SdkConfig {
    let database = Database::memory().unwrap();
    let table = json!({
        "TableName": "limits",
        "KeySchema": [{ "AttributeName": "PK", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "PK", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    database.create_table(serde_json::from_value(table).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Https::new(&TrustedRoots::CompiledIn).unwrap().for_aws())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "bench"))
        .endpoint_url(endpoint)
        .load()
        .await
}
