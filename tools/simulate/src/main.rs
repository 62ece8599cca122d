//! What the limiter does over many instances, skewed clocks and an unreliable table, in simulated
//! hours.
//!
//! The limiter is the real one; simulated are the table (a map that applies the same conditions),
//! the clocks and the callers. Nothing sleeps, and the seed makes every run the same:
//! `make simulate`.
//!
//! It is run twice: once every request reaches any instance, which is the worst case for what
//! instances can know by themselves; once each principal's requests reach eight of them, as a
//! platform does that reuses warm instances.
//!
//! A bucket that knows the true time judges each principal, anew in each phase. *Most over* is how
//! many requests more than `burst + elapsed / interval` any principal was ever admitted; *least of
//! its due* how much of `elapsed / interval` the worst served of those who asked for more than that
//! got.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the terminal")]
#![expect(clippy::cast_precision_loss, reason = "ratios for people")]

use fastrand::Rng;
use sentinel_tvm::{
    BreakerSettings, Caller, Charge, Charged, DecidedBy, FailureMode, Form, IamIdentity, Limit,
    Limits, NamedSessionRoles, Outcome, Principal, Quota, RateLimiter, SharedSettings, StoreError,
    Table, Tier,
};
use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::UtcDateTime;

const INSTANCES: usize = 500;
const PRINCIPALS: usize = 10_000;
/// 60 requests a minute, 60 at once.
const REQUESTS: u32 = 60;
const INTERVAL: u64 = 1_000_000;
const BURST: u64 = REQUESTS as u64;
/// Clocks are up to this far from the true time, in microseconds, either way.
const SKEW: i64 = 250_000;
/// How long the table is in reach, away, and back, in seconds.
const PHASES: [(&str, u64); 5] = [
    ("in reach", 7_200),
    ("away", 90),
    ("back", 1_800),
    ("away again", 600),
    ("back again", 1_110),
];
/// 1 January 2026, 00:00 UTC, in microseconds.
const START: u64 = 1_767_225_600_000_000;

/// The table: a map, the same conditions, and outages.
#[derive(Clone, Default)]
struct SimulatedTable(Arc<TableState>);

#[derive(Default)]
struct TableState {
    tats: Mutex<HashMap<String, u64>>,
    away: AtomicBool,
    writes: AtomicU64,
}

impl Table for SimulatedTable {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<Charged, StoreError> {
        if self.0.away.load(Relaxed) {
            return Err(StoreError::Unreachable("simulated".to_owned()));
        }
        self.0.writes.fetch_add(1, Relaxed);
        let mut tats = self.0.tats.lock().unwrap();
        let tat = tats.get(key).copied().unwrap_or(0);
        let new = match charge.form {
            Form::Ahead if tat > charge.now && tat <= charge.latest => tat + charge.step,
            Form::Idle if tat <= charge.now => charge.now + charge.step,
            _ => return Ok(Charged::ConditionFailed(tat)),
        };
        tats.insert(key.to_owned(), new);
        Ok(Charged::Done(new))
    }
}

/// What one principal was admitted since the phase began, and the true bucket of that.
#[derive(Clone, Copy, Default)]
struct Meter {
    /// Microseconds of admitted requests that have not drained yet.
    level: u64,
    at: u64,
    admitted: u64,
    over: u64,
}

impl Meter {
    fn admit(&mut self, now: u64) {
        self.level = self.level.saturating_sub(now - self.at) + INTERVAL;
        self.at = now;
        self.admitted += 1;
        self.over = self.over.max(self.level.saturating_sub(BURST * INTERVAL).div_ceil(INTERVAL));
    }
}

/// What a phase came to.
#[derive(Default)]
struct Tally {
    requests: u64,
    refused: u64,
    unwritten_refusals: u64,
}

struct Sender {
    principal: Principal,
    /// Mean requests per 1 000 seconds.
    rate: u64,
    meter: Meter,
}

struct Simulation {
    rng: Rng,
    /// How many instances a principal's requests reach.
    spread: usize,
    table: SimulatedTable,
    instances: Vec<(RateLimiter<SimulatedTable>, i64)>,
    senders: Vec<Sender>,
    /// Seconds since the start.
    clock: u64,
}

impl Simulation {
    fn new(seed: u64, spread: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let table = SimulatedTable::default();
        let instances =
            (0..INSTANCES).map(|_| (limiter(table.clone()), rng.i64(-SKEW..=SKEW))).collect();
        let sender = |index| Sender {
            principal: principal(index),
            rate: rate(index),
            meter: Meter::default(),
        };
        Self {
            spread,
            table,
            instances,
            senders: (0..PRINCIPALS).map(sender).collect(),
            clock: 0,
            rng,
        }
    }

    /// One phase, as a row of the table.
    async fn phase(&mut self, name: &str, seconds: u64) -> String {
        let mut tally = Tally::default();
        self.table.0.away.store(name.starts_with("away"), Relaxed);
        self.table.0.writes.store(0, Relaxed);
        for sender in &mut self.senders {
            sender.meter = Meter { at: START + self.clock * 1_000_000, ..Meter::default() };
        }
        for _ in 0..seconds {
            self.second(&mut tally).await;
        }
        self.row(name, seconds, &tally)
    }

    /// One second: every sender sends as often as chance has it.
    async fn second(&mut self, tally: &mut Tally) {
        let mut arrivals = Vec::new();
        for (index, sender) in self.senders.iter().enumerate() {
            let (certain, chance) = (sender.rate / 1_000, sender.rate % 1_000);
            let count = certain + u64::from(self.rng.u64(0..1_000) < chance);
            arrivals.extend((0..count).map(|_| (self.rng.u64(0..1_000_000), index)));
        }
        arrivals.sort_unstable();
        for (offset, index) in arrivals {
            self.request(START + self.clock * 1_000_000 + offset, index, tally).await;
        }
        self.clock += 1;
    }

    async fn request(&mut self, now: u64, index: usize, tally: &mut Tally) {
        let (limiter, skew) = &self.instances[(index + self.rng.usize(0..self.spread)) % INSTANCES];
        let sender = &mut self.senders[index];
        let admission = limiter
            .admit(Tier::Vend, &sender.principal, at(now.saturating_add_signed(*skew)))
            .await;
        tally.requests += 1;
        if let Outcome::Throttled(..) = admission.outcome {
            tally.refused += 1;
            tally.unwritten_refusals += u64::from(admission.decided_by == DecidedBy::Mirror);
        } else {
            sender.meter.admit(now);
        }
    }

    fn row(&self, name: &str, seconds: u64, tally: &Tally) -> String {
        let Tally { requests, refused, unwritten_refusals } = tally;
        let due = seconds * 1_000_000 / INTERVAL;
        let over = self.senders.iter().map(|sender| sender.meter.over).max().unwrap_or(0);
        let floods = self.senders.iter().filter(|sender| sender.rate * INTERVAL > 1_000_000_000);
        let least = floods
            .map(|sender| 100.0 * sender.meter.admitted as f64 / due as f64)
            .fold(f64::MAX, f64::min);
        let spared = 100.0 * *unwritten_refusals as f64 / (*refused).max(1) as f64;
        let per_request = self.table.0.writes.load(Relaxed) as f64 / (*requests).max(1) as f64;
        format!(
            "| {name} | {seconds} s | {requests} | {refused} | {spared:.1} % | {per_request:.2} | {over} | {least:.1} % |"
        )
    }
}

/// Most callers are far below the quota, some near it, and one in a hundred floods with ten times
/// its quota.
fn rate(index: usize) -> u64 {
    match index % 100 {
        0 => 10_000,
        1..=5 => 900,
        _ => 10,
    }
}

fn limiter(table: SimulatedTable) -> RateLimiter<SimulatedTable> {
    let whole = |number| NonZeroU32::new(number).unwrap();
    let limit = Limit::Quota(Quota::new(whole(REQUESTS), whole(60), whole(REQUESTS)));
    let limits = Limits {
        vend: limit,
        explain: limit,
        read: limit,
        memory_max_keys: NonZeroUsize::new(2_000).unwrap(),
    };
    let breaker =
        BreakerSettings { failure_threshold: 5, reset_seconds: 30, half_open_requests: 3 };
    let settings = SharedSettings {
        timeout: Duration::from_secs(1),
        failure_mode: FailureMode::Memory,
        breaker,
    };
    RateLimiter::shared(limits, table, settings)
}

fn principal(index: usize) -> Principal {
    let arn = format!("arn:aws:iam::123456789012:user/caller-{index}");
    let named = NamedSessionRoles::default();
    Caller::verified(&IamIdentity::of_arn(&arn), None, named.of_function_in(None))
        .unwrap()
        .principal()
        .clone()
}

fn at(micros: u64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let skew = SKEW / 1_000;
    println!(
        "{INSTANCES} instances, {PRINCIPALS} principals of {REQUESTS} requests a minute, clocks within {skew} ms, seed {seed}"
    );
    for spread in [INSTANCES, 8] {
        println!("\nEach principal's requests reach {spread} instances:\n");
        println!(
            "| table | for | requests | refused | of these without a write | writes per request | most over | least of its due |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let mut simulation = Simulation::new(seed, spread);
        for (name, seconds) in PHASES {
            println!("{}", simulation.phase(name, seconds).await);
        }
    }
}
