//! What the limiter does over many instances, skewed clocks and an unreliable table, in simulated
//! hours.
//!
//! The limiter is the real one; simulated are the table (a map that applies the same conditions),
//! the clocks and the callers. Nothing sleeps, and the seed makes every run the same:
//! `make simulate`.
//!
//! It is run three times: once every request reaches any instance, which is the worst case for what
//! instances can know by themselves; once each principal's requests reach eight of them, as a
//! platform does that reuses warm instances; once more so with a limit for the day.
//!
//! A bucket for each window that knows the true time judges each principal, anew in each phase. *Most
//! over* is how many requests more than `burst + elapsed / interval` of any window any principal was
//! ever admitted; *least of its due* how much of `elapsed / interval`, of the slower window, the
//! worst served of those who asked for more than that got.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for the terminal")]
#![expect(clippy::cast_precision_loss, reason = "ratios for people")]

use fastrand::Rng;
use sentinel_tvm::{
    BreakerSettings, Caller, Charge, Charged, DecidedBy, FailureMode, IamIdentity, Limit, Limits,
    NamedSessionRoles, Outcome, Principal, Quota, RateLimiter, SharedSettings, Step, StoreError,
    Table, Tier, Windows,
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
const MINUTE: u32 = 60;
/// With a limit for the day: 2 000 in it, all at once if the minute lets them.
const DAY_REQUESTS: u32 = 2_000;
const DAY: u32 = 86_400;
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
    /// The TATs of the short window and of the day.
    tats: Mutex<HashMap<String, [u64; 2]>>,
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
        let [short, day] = tats.get(key).copied().unwrap_or_default();
        let Windows { short: short_step, day: day_step } = charge.steps;
        let applied = |step: Step, tat| step.applied(tat, charge.now);
        let new_day = day_step.map_or(Some(day), |step| applied(step, day));
        let (new, answer): (_, fn(_) -> _) = match (applied(short_step, short), new_day) {
            (Some(short), Some(day)) => ([short, day], Charged::Done),
            _ => ([short, day], Charged::ConditionFailed),
        };
        let [short, day] = new;
        tats.insert(key.to_owned(), new);
        Ok(answer(Windows { short, day: day_step.map(|_| day) }))
    }
}

/// What one principal was admitted since the phase began, and the true bucket of that.
#[derive(Clone, Copy)]
struct Meter {
    interval: u64,
    burst: u64,
    /// Microseconds of admitted requests that have not drained yet.
    level: u64,
    at: u64,
    admitted: u64,
    over: u64,
}

impl Meter {
    fn new(quota: Quota, at: u64) -> Self {
        let interval = u64::from(quota.window_seconds()) * 1_000_000 / u64::from(quota.requests());
        Self { interval, burst: quota.burst().into(), level: 0, at, admitted: 0, over: 0 }
    }

    fn admit(&mut self, now: u64) {
        self.level = self.level.saturating_sub(now - self.at) + self.interval;
        self.at = now;
        self.admitted += 1;
        let over = self.level.saturating_sub(self.burst * self.interval).div_ceil(self.interval);
        self.over = self.over.max(over);
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
    /// One for each window.
    meters: Vec<Meter>,
}

struct Simulation {
    rng: Rng,
    /// How many instances a principal's requests reach.
    spread: usize,
    quotas: Vec<Quota>,
    table: SimulatedTable,
    instances: Vec<(RateLimiter<SimulatedTable>, i64)>,
    senders: Vec<Sender>,
    /// Seconds since the start.
    clock: u64,
}

impl Simulation {
    fn new(seed: u64, spread: usize, day: Option<Quota>) -> Self {
        let mut rng = Rng::with_seed(seed);
        let table = SimulatedTable::default();
        let short = quota(REQUESTS, MINUTE);
        let limiter = |table| limiter(table, short, day);
        let instances =
            (0..INSTANCES).map(|_| (limiter(table.clone()), rng.i64(-SKEW..=SKEW))).collect();
        let sender =
            |index| Sender { principal: principal(index), rate: rate(index), meters: Vec::new() };
        Self {
            spread,
            quotas: std::iter::once(short).chain(day).collect(),
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
            let at = START + self.clock * 1_000_000;
            sender.meters = self.quotas.iter().map(|quota| Meter::new(*quota, at)).collect();
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
            sender.meters.iter_mut().for_each(|meter| meter.admit(now));
        }
    }

    fn row(&self, name: &str, seconds: u64, tally: &Tally) -> String {
        let Tally { requests, refused, unwritten_refusals } = tally;
        let meters = || self.senders.iter().flat_map(|sender| &sender.meters);
        let over = meters().map(|meter| meter.over).max().unwrap_or(0);
        let slowest = meters().map(|meter| meter.interval).max().unwrap_or(1);
        let due = seconds as f64 * 1e6 / slowest as f64;
        let floods = self.senders.iter().filter(|sender| sender.rate > 1_000);
        let least = floods
            .map(|sender| 100.0 * sender.meters[0].admitted as f64 / due)
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

/// `requests` in the window, all at once if wished.
fn quota(requests: u32, window: u32) -> Quota {
    let whole = |number| NonZeroU32::new(number).unwrap();
    Quota::new(whole(requests), whole(window), whole(requests))
}

fn limiter(table: SimulatedTable, short: Quota, day: Option<Quota>) -> RateLimiter<SimulatedTable> {
    let limit = Limit::Quota(short);
    let limits = Limits {
        vend: limit,
        vend_day: day.map_or(Limit::Off, Limit::Quota),
        explain: limit,
        read: limit,
        memory_max_keys: NonZeroUsize::new(2_000).unwrap(),
    };
    let breaker = BreakerSettings {
        failure_threshold: 5,
        reset_seconds: 30,
        max_reset_seconds: 60,
        half_open_requests: 3,
    };
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
    for (spread, day) in [(INSTANCES, None), (8, None), (8, Some(quota(DAY_REQUESTS, DAY)))] {
        let too =
            if day.is_some() { format!(", at most {DAY_REQUESTS} a day") } else { String::new() };
        println!("\nEach principal's requests reach {spread} instances{too}:\n");
        println!(
            "| table | for | requests | refused | of these without a write | writes per request | most over | least of its due |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        let mut simulation = Simulation::new(seed, spread, day);
        for (name, seconds) in PHASES {
            println!("{}", simulation.phase(name, seconds).await);
        }
    }
}
