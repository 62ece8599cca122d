//! What the limiter does over many instances, skewed clocks and an unreliable table, in simulated hours.
//!
//! The limiter is the real one; simulated are the table (a map that applies the same conditions), the clocks and the callers.
//! Nothing sleeps, and the seed makes every run the same: `cargo run --profile bench --example simulate [SEED]`.
//!
//! A meter that knows the true time judges each principal: *over* is how many requests beyond its quota a principal ever had
//! admitted at one moment, *wrongly refused* counts refusals that one bucket with a true clock would not have made.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the terminal")]
#![expect(clippy::cast_precision_loss, reason = "ratios for people")]

use fastrand::Rng;
use sentinel_tvm::{
    BreakerSettings, Caller, Charge, Charged, DecidedBy, Event, FailureMode, Form, Limit, Limits, NamedSessionRoles, Outcome,
    Principal, Quota, RateLimiter, SharedSettings, StoreError, Table, Tier,
};
use serde_json::json;
use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::UtcDateTime;

const INSTANCES: usize = 500;
const PRINCIPALS: usize = 10_000;
const HOURS: u64 = 3;
/// 60 requests a minute, 60 at once.
const REQUESTS: u32 = 60;
const INTERVAL: u64 = 1_000_000;
const BURST: u64 = REQUESTS as u64;
/// Clocks are up to this far from the true time, in microseconds, either way.
const SKEW: i64 = 250_000;
/// Times without the table, in seconds from the start.
const OUTAGES: [(u64, u64); 3] = [(3_600, 3_690), (5_400, 6_000), (7_200, 7_205)];
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

/// The true bucket of one principal: microseconds of admitted requests that have not drained yet.
#[derive(Clone, Copy, Default)]
struct Meter {
    level: u64,
    at: u64,
}

impl Meter {
    fn drain(&mut self, now: u64) {
        self.level = self.level.saturating_sub(now - self.at);
        self.at = now;
    }

    fn has_room(&self) -> bool {
        self.level + INTERVAL <= BURST * INTERVAL
    }

    /// Requests beyond the quota, after one more.
    fn admit(&mut self) -> u64 {
        self.level += INTERVAL;
        self.level.saturating_sub(BURST * INTERVAL).div_ceil(INTERVAL)
    }
}

/// What one kind of caller met.
#[derive(Default)]
struct Tally {
    requests: u64,
    admitted: u64,
    unwritten_refusals: u64,
    refused: u64,
    wrongly_refused: u64,
    over: u64,
}

struct Sender {
    principal: Principal,
    /// Mean requests per 1 000 seconds.
    rate: u64,
    meter: Meter,
}

struct Simulation {
    rng: Rng,
    table: SimulatedTable,
    instances: Vec<(RateLimiter<SimulatedTable>, i64)>,
    callers: Vec<Sender>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let table = SimulatedTable::default();
        let instances = (0..INSTANCES).map(|_| (limiter(table.clone()), rng.i64(-SKEW..=SKEW))).collect();
        let callers =
            (0..PRINCIPALS).map(|index| Sender { principal: principal(index), rate: rate(index), meter: Meter::default() });
        Self { table, instances, callers: callers.collect(), rng }
    }

    /// One second: every caller sends as often as chance has it, to any instance.
    async fn second(&mut self, second: u64, tally: &mut Tally) {
        let mut arrivals = Vec::new();
        for (index, caller) in self.callers.iter().enumerate() {
            let (certain, chance) = (caller.rate / 1_000, caller.rate % 1_000);
            let count = certain + u64::from(self.rng.u64(0..1_000) < chance);
            arrivals.extend((0..count).map(|_| (self.rng.u64(0..1_000_000), index)));
        }
        arrivals.sort_unstable();
        for (offset, index) in arrivals {
            self.request(START + second * 1_000_000 + offset, index, tally).await;
        }
    }

    async fn request(&mut self, now: u64, index: usize, tally: &mut Tally) {
        let (limiter, skew) = &self.instances[self.rng.usize(0..INSTANCES)];
        let caller = &mut self.callers[index];
        let admission = limiter.admit(Tier::Vend, &caller.principal, at(now.saturating_add_signed(*skew))).await;
        caller.meter.drain(now);
        tally.requests += 1;
        if let Outcome::Throttled(..) = admission.outcome {
            tally.refused += 1;
            tally.unwritten_refusals += u64::from(admission.decided_by == DecidedBy::Mirror);
            tally.wrongly_refused += u64::from(caller.meter.has_room());
        } else {
            tally.admitted += 1;
            tally.over = tally.over.max(caller.meter.admit());
        }
    }
}

/// Most callers are far below the quota, some near it, and one in a hundred floods with ten times its quota.
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
    let limits = Limits { vend: limit, read: limit, memory_max_keys: NonZeroUsize::new(2_000).unwrap() };
    let breaker = BreakerSettings { failure_threshold: 5, reset_seconds: 30, half_open_requests: 3 };
    let settings = SharedSettings { timeout: Duration::from_secs(1), failure_mode: FailureMode::Memory, breaker };
    RateLimiter::shared(limits, table, settings)
}

fn principal(index: usize) -> Principal {
    let iam = json!({ "userArn": format!("arn:aws:iam::123456789012:user/caller-{index}") });
    let event = Event::new(json!({ "requestContext": { "authorizer": { "iam": iam } } }));
    Caller::from_event(&event, &NamedSessionRoles::default()).unwrap().principal().clone()
}

fn at(micros: u64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()
}

/// The phases of the run: with the table, without it, and the minute after, in which what is owed is paid.
fn phase(second: u64) -> usize {
    let outage = OUTAGES.iter().any(|(from, to)| (*from..*to).contains(&second));
    let recovery = OUTAGES.iter().any(|(_, to)| (*to..*to + 60).contains(&second));
    if outage { 1 } else { usize::from(recovery) * 2 }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut simulation = Simulation::new(seed);
    let mut tallies: [Tally; 3] = Default::default();
    let mut writes = [0; 3];
    for second in 0..HOURS * 3_600 {
        let phase = phase(second);
        simulation.table.0.away.store(phase == 1, Relaxed);
        let before = simulation.table.0.writes.load(Relaxed);
        simulation.second(second, &mut tallies[phase]).await;
        writes[phase] += simulation.table.0.writes.load(Relaxed) - before;
    }
    println!(
        "{INSTANCES} instances, {PRINCIPALS} principals, {HOURS} h, {REQUESTS} requests a minute each, clocks within {} ms, seed {seed}\n",
        SKEW / 1_000
    );
    println!(
        "| table | requests | admitted | refused | refused without a write | writes per request | most over | wrongly refused |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for ((name, tally), writes) in ["in reach", "away", "the minute after"].iter().zip(&tallies).zip(writes) {
        println!("{}", row(name, tally, writes));
    }
}

fn row(name: &str, tally: &Tally, writes: u64) -> String {
    let Tally { requests, admitted, unwritten_refusals, refused, wrongly_refused, over } = tally;
    let spared = 100.0 * *unwritten_refusals as f64 / (*refused).max(1) as f64;
    let per_request = writes as f64 / (*requests).max(1) as f64;
    format!("| {name} | {requests} | {admitted} | {refused} | {spared:.1} % | {per_request:.3} | {over} | {wrongly_refused} |")
}
