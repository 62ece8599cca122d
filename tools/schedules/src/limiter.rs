//! The limiter: several instances on one table, and callers who send as they like.

mod checks;
mod plan;

use crate::dynamo::{Database, Defect};
use crate::explorer::Scenario;
use crate::function::rate_limit::{DecidedBy, DynamoTable, Outcome, RateLimiter, Tier};
use crate::network::{Network, Patience, Weather, draw, lock, one_of, unless_dropped};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use checks::Checks;
use plan::{Conditions, Plan, interval};
use sentinel_tvm::{Caller, IamIdentity, NamedSessionRoles, Principal};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use std::sync::{Arc, Mutex, OnceLock};
use time::UtcDateTime;

const TABLE: &str = "limits";
/// 1 January 2026, 00:00 UTC, in microseconds.
const START: u64 = 1_767_225_600_000_000;
const SECOND: u64 = 1_000_000;
const CALLERS: usize = 2;
/// An end that never comes, in microseconds: 31 December 9999.
const NEVER: u64 = 253_402_300_799_000_000;

/// The scenario, on a table with this defect.
#[must_use]
pub fn scenario(defect: Option<Defect>) -> Arc<Scenario> {
    Arc::new(move || block_on(World::drawn(defect).run()))
}

struct Instance {
    limiter: Arc<RateLimiter<DynamoTable>>,
    /// How far its clock is from the true time.
    clock: i64,
}

impl Instance {
    fn evictions(&self) -> u64 {
        self.limiter.health(UtcDateTime::UNIX_EPOCH).usage.evictions
    }
}

/// One request, and its answer.
#[derive(Debug)]
struct Record {
    instance: usize,
    who: usize,
    begun: u64,
    ended: u64,
    /// The true time, and that of the instance.
    at: u64,
    now: u64,
    outcome: Outcome,
    by: DecidedBy,
    writes: u32,
}

/// One block.
#[derive(Debug)]
struct Block {
    who: usize,
    landed: u64,
    until: u64,
    lifted: Option<u64>,
}

struct World {
    plan: Plan,
    network: Arc<Network>,
    /// Those that ended are among them.
    instances: Vec<Instance>,
    /// The ones that run now.
    running: Vec<usize>,
    records: Arc<Mutex<Vec<Record>>>,
    blocks: Arc<Mutex<Vec<Block>>>,
    swept: usize,
}

impl World {
    fn drawn(defect: Option<Defect>) -> Self {
        let plan = Plan::drawn();
        let mut world = Self {
            network: Network::enter(Database::new(defect), START, Patience::Caller),
            instances: Vec::new(),
            running: Vec::new(),
            records: Arc::default(),
            blocks: Arc::default(),
            swept: 0,
            plan,
        };
        for clock in world.plan.clocks.clone() {
            let index = world.start(clock);
            world.running.push(index);
        }
        world
    }

    fn start(&mut self, clock: i64) -> usize {
        let limiter = RateLimiter::shared(self.plan.limits, table(), self.plan.settings);
        self.instances.push(Instance { limiter: Arc::new(limiter), clock });
        self.instances.len() - 1
    }

    async fn run(mut self) -> Result<(), String> {
        for _ in 0..self.plan.phases {
            self.phase().await;
            self.between();
        }
        self.end().await?;
        let (records, blocks) = (lock(&self.records), lock(&self.blocks));
        let checks = Checks {
            plan: &self.plan,
            instances: &self.instances,
            records: &records,
            blocks: &blocks,
            swept: self.swept,
        };
        checks.all().map_err(|violation| {
            let records: Vec<_> = records.iter().map(|record| format!("\n  {record:?}")).collect();
            format!("{violation}\n{:?}\n{blocks:?}{}", self.plan, records.concat())
        })
    }

    /// Requests, faults and time at once.
    async fn phase(&self) {
        let mut tasks: Vec<_> = (0..draw(2, 8)).map(|_| self.request()).collect();
        if self.plan.conditions != Conditions::Calm {
            tasks.push(self.passing_time());
        }
        if self.plan.conditions == Conditions::Stormy {
            tasks.push(self.faults());
        }
        for task in tasks {
            let _ = task.await;
        }
        self.network.settle().await;
    }

    /// What no request runs beside.
    fn between(&mut self) {
        if self.plan.conditions == Conditions::Calm {
            return;
        }
        let short = interval(self.plan.quotas[0]);
        self.network.pass(one_of(&[
            0,
            short,
            4 * short,
            31 * SECOND,
            61 * SECOND,
            10_800 * SECOND,
        ]));
        if self.plan.conditions == Conditions::Stormy {
            if draw(0, 1) == 0 {
                self.swept += self.network.database.sweep(self.network.now() / SECOND);
            }
            if draw(0, 7) == 0 {
                let place = one_of(&(0..self.running.len()).collect::<Vec<_>>());
                self.running[place] = self.start(self.plan.clocks[place]);
            }
        }
    }

    fn request(&self) -> JoinHandle<()> {
        let index = one_of(&self.running);
        let who = usize::from(draw(0, 4) == 0);
        let Instance { limiter, clock } = &self.instances[index];
        spawn(request(
            Arc::clone(&self.network),
            Arc::clone(limiter),
            Arc::clone(&self.records),
            (index, who, *clock),
        ))
    }

    fn passing_time(&self) -> JoinHandle<()> {
        let (network, short) = (Arc::clone(&self.network), interval(self.plan.quotas[0]));
        spawn(async move {
            for _ in 0..draw(0, 4) {
                pause().await;
                network.pass(one_of(&[1, short / 2, short, 2 * short]));
            }
        })
    }

    fn faults(&self) -> JoinHandle<()> {
        let (network, blocks) = (Arc::clone(&self.network), Arc::clone(&self.blocks));
        spawn(async move {
            for _ in 0..draw(0, 3) {
                pause().await;
                match draw(0, 9) {
                    0..=2 => network.set(Weather::Rough),
                    3..=4 => network.set(Weather::Fine),
                    5 => network.set(Weather::Away),
                    6 => network.set(Weather::Throttling),
                    7 => network.set(Weather::Refusing),
                    8 => block(&network, &blocks, 0),
                    _ => unblock(&network, &blocks, 0),
                }
            }
        })
    }

    /// After the faults and a rest, every instance admits, and the table decides.
    async fn end(&self) -> Result<(), String> {
        self.network.set(Weather::Fine);
        unblock(&self.network, &self.blocks, 0);
        for index in &self.running {
            let Instance { limiter, clock } = &self.instances[*index];
            for _ in 0..2 {
                self.network.pass(self.plan.rest());
                let now = time(self.network.now().saturating_add_signed(*clock));
                let admission = limiter.admit(Tier::Vend, principal(0), now).await;
                let is_admitted = matches!(admission.outcome, Outcome::Admitted(_));
                if !is_admitted || admission.decided_by != DecidedBy::Table {
                    return Err(format!("refused for good: {admission:?}"));
                }
            }
        }
        Ok(())
    }
}

async fn request(
    network: Arc<Network>,
    limiter: Arc<RateLimiter<DynamoTable>>,
    records: Arc<Mutex<Vec<Record>>>,
    (instance, who, clock): (usize, usize, i64),
) {
    let (begun, at) = (network.moment(), network.now());
    let now = at.saturating_add_signed(clock);
    let chance = if network.weather() == Weather::Fine { 0 } else { 60 };
    let admission = limiter.admit(Tier::Vend, principal(who), time(now));
    let Some(admission) = unless_dropped(admission, chance).await else { return };
    let ended = network.moment();
    let record = Record {
        instance,
        who,
        begun,
        ended,
        at,
        now,
        outcome: admission.outcome,
        by: admission.decided_by,
        writes: admission.writes,
    };
    lock(&records).push(record);
}

/// A few points at which others may run.
async fn pause() {
    for _ in 0..draw(0, 12) {
        yield_now().await;
    }
}

/// As `make block` does it.
fn block(network: &Network, blocks: &Mutex<Vec<Block>>, who: usize) {
    let now = network.now();
    let until = one_of(&[now + SECOND, now + 10 * SECOND, now + 40 * SECOND, NEVER]);
    let expires = until.max(now + 30 * 86_400 * SECOND) / SECOND + 3_600;
    let write = operator(who, "SET Blocked = :until, #ttl = :ttl")
        .condition_expression("attribute_not_exists(Blocked) OR Blocked <= :until")
        .expression_attribute_values(":until", number(until))
        .expression_attribute_values(":ttl", number(expires));
    if network.database.write(write) {
        let landed = network.moment();
        lock(blocks).push(Block { who, landed, until, lifted: None });
    }
}

/// As `make unblock` does it.
fn unblock(network: &Network, blocks: &Mutex<Vec<Block>>, who: usize) {
    let lifted = network.moment();
    let expires = network.now() / SECOND + 30 * 86_400;
    let write = operator(who, "SET #ttl = :ttl REMOVE Blocked")
        .expression_attribute_values(":ttl", number(expires));
    network.database.write(write);
    let open = |block: &&mut Block| block.who == who && block.lifted.is_none();
    lock(blocks).iter_mut().filter(open).for_each(|block| block.lifted = Some(lifted));
}

fn operator(who: usize, expression: &str) -> UpdateItemInputBuilder {
    UpdateItemInputBuilder::default()
        .table_name(TABLE)
        .key("PK", AttributeValue::S(format!("RL#{}#{}", Tier::Vend.name(), principal(who))))
        .update_expression(expression)
        .expression_attribute_names("#ttl", "TTL")
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn time(micros: u64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(UtcDateTime::UNIX_EPOCH)
}

/// The function's table. It holds no state, so all schedules share it.
fn table() -> DynamoTable {
    static SHARED: OnceLock<DynamoTable> = OnceLock::new();
    let new = || {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        DynamoTable::new(&config, TABLE, std::time::Duration::from_millis(500))
    };
    SHARED.get_or_init(new).clone()
}

fn principal(who: usize) -> &'static Principal {
    static ALL: OnceLock<Vec<Principal>> = OnceLock::new();
    let new = |who| {
        let arn = format!("arn:aws:iam::123456789012:user/caller-{who}");
        let named = NamedSessionRoles::default();
        let identity = IamIdentity::of_arn(&arn);
        let caller = Caller::verified(&identity, None, named.of_function_in(None));
        caller.map_or_else(|_| panic!("{arn}"), |caller| caller.principal().clone())
    };
    &ALL.get_or_init(|| (0..CALLERS).map(new).collect())[who]
}
