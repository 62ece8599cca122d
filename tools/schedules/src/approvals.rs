//! Requests for access: several people who request, approve, deny, withdraw, use approvals and take
//! emergencies at once.
//!
//! The order in which a person's decision reads, checks and writes is that of `src/app/access.rs`; what
//! is called is the function's own.

mod checks;
mod people;

use crate::dynamo::{Database, Defect};
use crate::explorer::Scenario;
use crate::function::access::{
    AccessDraft, AccessId, AccessRequest, Approval, Change, Emergency, Reason, is_person,
};
use crate::function::grants::{AccessError, Grants, GrantsSettings, GrantsTable};
use crate::function::request::{ProfileName, RequestId, SessionDuration};
use crate::network::{Network, Patience, Weather, draw, lock, one_of};
use aws_config::{BehaviorVersion, SdkConfig};
use checks::Checks;
use people::{APPROVERS, Person, caller};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use std::sync::{Arc, Mutex, OnceLock};
use time::UtcDateTime;

const TABLE: &str = "grants";
/// 1 January 2026, 00:00 UTC, in microseconds.
const START: u64 = 1_767_225_600_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// The scenario, on a table with this defect.
#[must_use]
pub fn scenario(defect: Option<Defect>) -> Arc<Scenario> {
    Arc::new(move || block_on(World::new(defect).run()))
}

/// What somebody did, and the answer.
#[derive(Debug)]
struct Record {
    begun: u64,
    ended: u64,
    /// The time of the instance, in seconds since the Unix epoch.
    now: u64,
    who: Person,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Created(AccessId, Result<(), AccessError>),
    Decided(AccessId, Change, Result<(), AccessError>),
    Vended(Option<Approval>),
    Broken(Result<(), AccessError>),
}

#[derive(Clone)]
struct World {
    network: Arc<Network>,
    records: Arc<Mutex<Vec<Record>>>,
    /// The ids that people know.
    ids: Arc<Mutex<Vec<AccessId>>>,
}

impl World {
    fn new(defect: Option<Defect>) -> Self {
        let network = Network::enter(Database::recording(defect), START, Patience::Client);
        Self { network, records: Arc::default(), ids: Arc::default() }
    }

    async fn run(self) -> Result<(), String> {
        for _ in 0..draw(1, 3) {
            if draw(0, 3) > 0 {
                self.clone().request(Person::Alice, 0).await;
            }
            self.phase().await;
            self.network.set(Weather::Fine);
            self.between();
        }
        self.end().await?;
        let (records, changes) = (lock(&self.records), self.network.database.changes());
        Checks { records: &records, changes: &changes }.all().map_err(|violation| {
            let changes = changes.iter().map(|change| format!("\n  {change:?}"));
            let records = records.iter().map(|record| format!("\n  {record:?}"));
            format!("{violation}{}{}", changes.collect::<String>(), records.collect::<String>())
        })
    }

    async fn phase(&self) {
        let mut tasks: Vec<_> = (0..draw(2, 12)).map(|_| self.act()).collect();
        tasks.push(self.faults());
        for task in tasks {
            let _ = task.await;
        }
        self.network.settle().await;
    }

    /// Somebody does something, by an instance with a clock of its own.
    fn act(&self) -> JoinHandle<()> {
        let (world, clock) = (self.clone(), one_of(&[0, 0, 1, 2]));
        let approver = Person::Approver(draw(0, APPROVERS - 1));
        spawn(async move {
            match draw(0, 15) {
                0 => world.request(Person::Alice, clock).await,
                1 => world.request(Person::Bob, clock).await,
                2..=5 => world.decide(approver, Change::Approve, clock).await,
                6..=7 => world.decide(approver, Change::Deny, clock).await,
                8 => world.decide(Person::Alice, Change::Approve, clock).await,
                9 => world.decide(Person::AliceElsewhere, Change::Approve, clock).await,
                10 => world.decide(Person::Nobody, Change::Approve, clock).await,
                11..=12 => world.decide(Person::Alice, Change::Withdraw, clock).await,
                13..=14 => world.vend(Person::Alice, clock).await,
                _ => world.break_glass(Person::Alice, clock).await,
            }
        })
    }

    fn faults(&self) -> JoinHandle<()> {
        let network = Arc::clone(&self.network);
        spawn(async move {
            for _ in 0..draw(0, 4) {
                for _ in 0..draw(0, 8) {
                    yield_now().await;
                }
                network.pass(one_of(&[0, 1, SECOND]));
                network.set(one_of(&[
                    Weather::Fine,
                    Weather::Rough,
                    Weather::Rough,
                    Weather::Away,
                ]));
            }
        })
    }

    /// To the last seconds of a pending request, an approval, an emergency's day; or far past them,
    /// with the items that have expired deleted.
    fn between(&self) {
        let hours = one_of(&[0, 0, 8, 24, 33 * 24]);
        self.network.pass((hours * HOUR).saturating_sub(draw(0, 2) * SECOND));
        self.network.database.sweep(self.network.now() / SECOND);
    }

    /// Time as an instance sees it.
    fn now(&self, clock: u64) -> UtcDateTime {
        time(self.network.now() + clock * SECOND)
    }

    async fn request(self, who: Person, clock: u64) {
        let (begun, now) = (self.network.moment(), self.now(clock));
        let id =
            RequestId::new(&format!("{:08x}-0000-4000-8000-000000000000", draw(0, 0xffff_ffff)));
        let duration = SessionDuration::MIN;
        let request = AccessRequest::new(caller(who), draft("a reason"), duration, &id, now);
        lock(&self.ids).push(request.id);
        let result = table().create(&request, now).await;
        self.record(begun, now, who, Answer::Created(request.id, result));
    }

    async fn decide(self, who: Person, change: Change, clock: u64) {
        let known = lock(&self.ids).clone();
        if known.is_empty() {
            return;
        }
        let (id, begun, now) = (one_of(&known), self.network.moment(), self.now(clock));
        let result = decide(id, who, change, now).await;
        self.record(begun, now, who, Answer::Decided(id, change, result));
    }

    async fn vend(self, who: Person, clock: u64) {
        let (begun, now) = (self.network.moment(), self.now(clock));
        if let Ok(approval) = table().approval(caller(who), profile(), now).await {
            self.record(begun, now, who, Answer::Vended(approval));
        }
    }

    async fn break_glass(self, who: Person, clock: u64) {
        let (begun, now) = (self.network.moment(), self.now(clock));
        // Long enough for an emergency.
        let reason = format!("the database is on fire, {}", draw(0, 9));
        let Some(emergency) = Emergency::new(caller(who), draft(&reason), now) else { return };
        let result = table().take(&emergency).await;
        self.record(begun, now, who, Answer::Broken(result));
    }

    fn record(&self, begun: u64, now: UtcDateTime, who: Person, answer: Answer) {
        let ended = self.network.moment();
        let now = now.unix_timestamp().unsigned_abs();
        lock(&self.records).push(Record { begun, ended, now, who, answer });
    }

    /// A month later everything is possible again.
    async fn end(&self) -> Result<(), String> {
        self.network.pass(33 * 24 * HOUR);
        self.clone().request(Person::Alice, 0).await;
        let id = lock(&self.ids).last().copied();
        let id = id.unwrap_or_else(|| panic!("a request"));
        let decided = decide(id, Person::Approver(0), Change::Approve, self.now(0)).await;
        let approval = table().approval(caller(Person::Alice), profile(), self.now(0)).await;
        let is_approved = matches!(&approval, Ok(Some(approval)) if approval.id == Some(id));
        self.clone().break_glass(Person::Alice, 0).await;
        let is_broken = lock(&self.records)
            .last()
            .is_some_and(|last| matches!(last.answer, Answer::Broken(Ok(()))));
        if decided.is_err() || !is_approved || !is_broken {
            return Err(format!("refused for good: {decided:?}, {approval:?}, {is_broken}"));
        }
        Ok(())
    }
}

/// A decision: read, checked, written.
async fn decide(
    id: AccessId,
    who: Person,
    change: Change,
    now: UtcDateTime,
) -> Result<(), AccessError> {
    let (table, by) = (table(), caller(who));
    let access = table.find(id).await?;
    let is_own = access.requester.arn == by.principal().as_str();
    if change == Change::Withdraw {
        if !is_own {
            return Err(AccessError::Unknown);
        }
    } else if !is_person(by) {
        return Err(AccessError::NotAPerson);
    } else if is_own || access.requester.may_be(by) {
        return Err(AccessError::OwnRequest);
    }
    table.change(access, change, by.principal(), now).await.map(|_| ())
}

/// The function's table. It holds no state, so all schedules share it.
fn table() -> &'static GrantsTable {
    static SHARED: OnceLock<Grants> = OnceLock::new();
    let new = || {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Grants::new(&GrantsSettings::Dynamodb(TABLE.to_owned()), &config)
    };
    match SHARED.get_or_init(new) {
        Grants::Table(table) => table,
        Grants::Off => panic!("there is a table"),
    }
}

fn profile() -> &'static ProfileName {
    static SHARED: OnceLock<ProfileName> = OnceLock::new();
    SHARED.get_or_init(|| {
        ProfileName::try_from("production".to_owned()).unwrap_or_else(|error| panic!("{error}"))
    })
}

fn draft(reason: &str) -> AccessDraft {
    let reason = Reason::parse(reason).unwrap_or_else(|| panic!("{reason}"));
    AccessDraft { profile: profile().clone(), reason, ticket: None, duration: None }
}

fn time(micros: u64) -> UtcDateTime {
    UtcDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(UtcDateTime::UNIX_EPOCH)
}
