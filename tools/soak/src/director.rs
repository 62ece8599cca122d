//! The plan of a run: which service fails when and how, and what else changes meanwhile.

use crate::clock::{self, Micros, SECOND};
use crate::exchanges::Exchanges;
use crate::lambda::{Instance, Lambda};
use crate::load::{BLOCKED, arn};
use crate::usage::Usage;
use crate::world::{Active, Fault, Service, Version, World};
use crate::{Result, lock};
use fastrand::Rng;
use serde::Serialize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// All faults, and the share of calls that each hits.
const FAULTS: [(Service, Fault, f64); 21] = [
    (Service::Dynamodb, Fault::Late(Duration::from_secs(3)), 0.2),
    (Service::Dynamodb, Fault::Failure, 0.5),
    (Service::Dynamodb, Fault::Reset, 0.5),
    (Service::Dynamodb, Fault::LostAnswer, 0.3),
    (Service::Dynamodb, Fault::Throttled, 0.5),
    (Service::Dynamodb, Fault::Reset, 1.0),
    (Service::Dynamodb, Fault::Silence, 1.0),
    (Service::Sts, Fault::Late(Duration::from_secs(3)), 0.2),
    (Service::Sts, Fault::Failure, 0.5),
    (Service::Sts, Fault::Reset, 0.5),
    (Service::Sts, Fault::Throttled, 0.5),
    (Service::Sts, Fault::Refused, 0.3),
    (Service::Mdm, Fault::Late(Duration::from_secs(4)), 0.3),
    (Service::Mdm, Fault::Failure, 0.5),
    (Service::Mdm, Fault::Reset, 0.5),
    (Service::Mdm, Fault::Throttled, 0.5),
    (Service::Secrets, Fault::Failure, 1.0),
    (Service::Secrets, Fault::Throttled, 1.0),
    (Service::Parameters, Fault::Failure, 0.7),
    (Service::Parameters, Fault::Reset, 0.7),
    (Service::Parameters, Fault::Throttled, 0.7),
];

/// Time without faults at the beginning and at the end.
pub(crate) const CALM: Micros = 10 * SECOND;
/// Least time between two rotations: the function reads a rejected secret again at most once a minute.
const BETWEEN_ROTATIONS: Micros = 66 * SECOND;
/// How long a block lasts.
const BLOCK: Micros = 6 * SECOND;
/// How long a bundle that does not load stays.
const BROKEN: Micros = 3 * SECOND;

/// Something that was done to the function or to a service, and for how long.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Incident {
    pub(crate) what: &'static str,
    pub(crate) service: Option<Service>,
    /// The instance that it ended.
    pub(crate) instance: Option<u32>,
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// Everything that was done.
#[derive(Default)]
pub(crate) struct Incidents(Mutex<Vec<Incident>>);

impl Incidents {
    fn add(&self, what: &'static str, service: Option<Service>, from: Micros, to: Micros) {
        lock(&self.0).push(Incident { what, service, instance: None, from, to });
    }

    fn ended(&self, what: &'static str, instance: u32, from: Micros) {
        let (instance, to) = (Some(instance), clock::now());
        lock(&self.0).push(Incident { what, service: None, instance, from, to });
    }

    pub(crate) fn all(&self) -> Vec<Incident> {
        lock(&self.0).clone()
    }
}

/// When the run begins and ends, and what its chances are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) begin: Micros,
    pub(crate) end: Micros,
}

impl Plan {
    /// From then until then, services fail.
    fn rough(&self) -> (Micros, Micros) {
        (self.begin + CALM, self.end - CALM)
    }

    /// How long one fault lasts, and the pause after it: all of them fit into the run at least once.
    fn lengths(&self) -> (Micros, Micros) {
        let (from, to) = self.rough();
        let each = (to - from) / u64::try_from(FAULTS.len()).unwrap_or(1);
        let each = each.min(6_500_000);
        (each * 3 / 4, each / 4)
    }
}

/// Makes services fail, one after the other in an order that the seed decides, until the run is nearly over.
pub(crate) async fn faults(plan: Plan, world: &World, incidents: &Incidents) {
    let mut rng = Rng::with_seed(plan.seed);
    let (from, to) = plan.rough();
    let (length, pause) = plan.lengths();
    let mut rotated = plan.begin;
    let mut order: Vec<_> = Vec::new();
    clock::sleep_until(from).await;
    while clock::now() + length < to {
        if order.is_empty() {
            order = FAULTS.to_vec();
            rng.shuffle(&mut order);
        }
        let Some((service, fault, share)) = order.pop() else { break };
        // A rotation while the secret or the device management is out of reach is another fault: one at a time.
        let is_about_secrets = matches!(service, Service::Secrets | Service::Mdm);
        if !is_about_secrets
            && (rotated == plan.begin || clock::now() >= rotated + BETWEEN_ROTATIONS)
        {
            rotated = clock::now();
            world.secrets.rotate_mdm();
            incidents.add("rotation of the client secret", None, rotated, rotated);
        }
        let begin = clock::now();
        world.set(service, Some(Active { fault, share }));
        clock::sleep_until(begin + length).await;
        world.set(service, None);
        incidents.add(fault.name(), Some(service), begin, clock::now());
        clock::sleep_until(clock::now() + pause).await;
    }
}

/// Changes the policy every few seconds; every fourth bundle does not load.
pub(crate) async fn policies(plan: Plan, world: &World, incidents: &Incidents) {
    let (from, to) = plan.rough();
    let mut version = Version::Open;
    for turn in 1_u64.. {
        let at = from + turn * 5 * SECOND;
        if at + 2 * BROKEN > to {
            break;
        }
        clock::sleep_until(at).await;
        let begin = clock::now();
        if turn % 4 == 3 {
            world.parameters.put(Version::Broken);
            clock::sleep_until(begin + BROKEN).await;
            world.parameters.put(version);
            let what = "bundle that does not load";
            incidents.add(what, Some(Service::Parameters), begin, clock::now());
        } else {
            version = if version == Version::Open { Version::Closed } else { Version::Open };
            world.parameters.put(version);
            incidents.add("change of the policy", None, begin, begin);
        }
    }
}

/// Adds a client token; hands it out when every instance has read it; then removes the old ones.
pub(crate) async fn tokens(plan: Plan, world: &World, incidents: &Incidents) {
    const KNOWN_EVERYWHERE: Micros = 95 * SECOND;
    let (from, to) = plan.rough();
    let mut at = from + 5 * SECOND;
    while at < to {
        clock::sleep_until(at).await;
        world.secrets.add_token();
        incidents.add("new client token", None, at, at);
        at += KNOWN_EVERYWHERE;
        if at >= to {
            break;
        }
        clock::sleep_until(at).await;
        world.secrets.hand_out_token();
        // Requests with the old token may be under way.
        at += 15 * SECOND;
        clock::sleep_until(at).await;
        world.secrets.remove_old_tokens();
        incidents.add("old client token removed", None, at, at);
        at += 5 * SECOND;
    }
}

/// Blocks one person from time to time.
pub(crate) async fn blocks(plan: Plan, world: &World, incidents: &Incidents) -> Result<()> {
    let (from, to) = plan.rough();
    let key = format!("RL#vend#{}", arn(BLOCKED));
    let mut at = from + 8 * SECOND;
    while at + BLOCK < to {
        clock::sleep_until(at).await;
        let until = clock::now() + BLOCK;
        world.table.set(&key, "Blocked", until)?;
        incidents.add("block", None, clock::now(), until);
        at += 25 * SECOND;
    }
    Ok(())
}

/// Keeps two instances running. The first one stays for the whole run; the second is replaced from time to time, in turn by
/// retiring it and by killing it. Measures both.
pub(crate) async fn instances(
    plan: Plan,
    lambda: &Arc<Lambda>,
    exchanges: &Exchanges,
    incidents: &Incidents,
    usage: &Usage,
) -> Result<[Instance; 2]> {
    let (from, to) = plan.rough();
    let [mut first, mut second] = [lambda.start().await?, lambda.start().await?];
    let (mut at, mut turn) = (from + 7 * SECOND, 0_u32);
    while clock::now() < plan.end {
        tokio::time::sleep(Duration::from_millis(500)).await;
        usage.measure(&first);
        usage.measure(&second);
        if first.has_ended() {
            return Err(format!("instance {} ended by itself", first.number).into());
        }
        if second.has_ended() {
            // An instance that cannot read its policy does not start; Lambda tries again.
            incidents.ended("failed start", second.number, clock::now());
            exchanges.abandon(second.number);
            tokio::time::sleep(Duration::from_secs(1)).await;
            second = lambda.start().await?;
        }
        if clock::now() >= at && at + 5 * SECOND < to {
            let begin = clock::now();
            let old = std::mem::replace(&mut second, lambda.start().await?);
            let number = old.number;
            let (what, ended) = if turn % 2 == 0 {
                ("instance retired", old.retire(exchanges).await)
            } else {
                ("instance killed", old.kill().await)
            };
            ended?;
            exchanges.abandon(number);
            incidents.ended(what, number, begin);
            turn += 1;
            at = begin + 13 * SECOND;
        }
    }
    Ok([first, second])
}
