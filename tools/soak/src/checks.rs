//! What must hold after a run.

mod audit;
mod outcomes;
mod quota;
mod resources;

pub(crate) use quota::variables;
pub(crate) use resources::Growth;

use crate::Result;
use crate::clock::{Micros, SECOND};
use crate::director::{CALM, Incident, Plan};
use crate::exchanges::Exchange;
use crate::lines::Line;
use crate::load::{SPENT, arn};
use crate::usage::Reading;
use crate::world::{Injected, Service, Tats, Version, World};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// All that is known of a run.
pub(crate) struct Evidence {
    pub(crate) plan: Plan,
    pub(crate) exchanges: BTreeMap<u64, Exchange>,
    pub(crate) lines: Vec<Line>,
    /// What was wrong with single lines and replies.
    pub(crate) problems: Vec<String>,
    pub(crate) messages: BTreeMap<String, u64>,
    pub(crate) log_bytes: u64,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) policies: Vec<(Micros, Version)>,
    pub(crate) sessions: HashMap<String, String>,
    pub(crate) writes: BTreeMap<String, u64>,
    pub(crate) tats: BTreeMap<String, Tats>,
    pub(crate) injected: Injected,
    pub(crate) calls: BTreeMap<Service, u64>,
    pub(crate) usage: Vec<Reading>,
    pub(crate) held_back: u64,
    /// The instances at the end. The first one ran from the beginning.
    pub(crate) survivors: [u32; 2],
}

impl Evidence {
    /// Whether something was done to the service between the two times.
    fn is_disturbed(&self, service: Service, from: Micros, to: Micros) -> bool {
        self.incidents
            .iter()
            .any(|incident| incident.service == Some(service) && incident.overlaps(from, to))
    }

    /// Whether this was done between the two times.
    fn was_done(&self, what: &str, from: Micros, to: Micros) -> bool {
        self.incidents.iter().any(|incident| incident.what == what && incident.overlaps(from, to))
    }
}

impl Incident {
    fn overlaps(&self, from: Micros, to: Micros) -> bool {
        self.from <= to && from <= self.to
    }
}

/// A check, and what it found.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) passed: bool,
    /// What was counted, or what is wrong.
    pub(crate) detail: String,
}

impl Check {
    /// Passes if there are no problems. Shows the first ones.
    fn of(name: &'static str, counted: String, problems: &[String]) -> Self {
        const SHOWN: usize = 5;
        let passed = problems.is_empty();
        let detail = if passed {
            counted
        } else {
            let shown = problems.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
            format!("{} problems: {shown}", problems.len())
        };
        Self { name, passed, detail }
    }
}

/// Every check.
pub(crate) fn all(evidence: &Evidence) -> Vec<Check> {
    vec![
        quota::by_the_table(evidence),
        quota::by_each_instance(evidence),
        quota::in_the_table(evidence),
        audit::one_line_each(evidence),
        audit::credentials(evidence),
        lines_and_replies(evidence),
        outcomes::explained(evidence),
        outcomes::policy_changes(evidence),
        outcomes::blocks(evidence),
        outcomes::health(evidence),
        recovery(evidence),
        readings(evidence),
        resources::memory(evidence),
        resources::descriptors(evidence),
    ]
}

/// Lets some people begin with a budget for the day that is nearly used up, so that a short run reaches its end.
pub(crate) fn use_up_days(world: &World) -> Result<()> {
    for person in SPENT {
        world.table.set(&quota::key("vend", &arn(person)), "DayTAT", quota::nearly_used_up())?;
    }
    Ok(())
}

fn lines_and_replies(evidence: &Evidence) -> Check {
    let replies = evidence.exchanges.values().filter(|exchange| exchange.reply.is_some()).count();
    let counted = format!("{} lines, {replies} replies", evidence.lines.len());
    Check::of("no secret in a log or reply; lines as in the schema", counted, &evidence.problems)
}

/// When all faults have ended, nothing is left of them.
fn recovery(evidence: &Evidence) -> Check {
    let calm = evidence.plan.end - CALM / 2;
    let late: Vec<&Line> = evidence.lines.iter().filter(|line| line.at >= calm).collect();
    let bad = late.iter().filter(|line| line.status >= 500 || line.is_degraded);
    let mut problems: Vec<String> =
        bad.map(|line| format!("request {}: {} {}", line.number, line.code, line.detail)).collect();
    if late.is_empty() {
        problems.push("no request".to_owned());
    }
    let counted = format!("{} requests in the last {} s", late.len(), CALM / 2 / SECOND);
    Check::of("after the faults all is well again", counted, &problems)
}

/// The readings in the audit lines are possible.
fn readings(evidence: &Evidence) -> Check {
    const POLICY_AGE: u64 = 20;
    const SECRET_AGE: u64 = 140;
    let budgets: std::collections::BTreeSet<_> =
        evidence.lines.iter().map(|line| (&line.principal, &line.tier)).collect();
    let is_odd = |line: &&Line| {
        let exchange = evidence.exchanges.get(&line.number);
        let times = exchange.and_then(|exchange| {
            Some((
                exchange.handed_out?.1,
                exchange.reply.as_ref().map_or(Micros::MAX, |reply| reply.at),
            ))
        });
        line.total_ms > 10_000.0
            || line.writes > 4
            || line.policy_age > POLICY_AGE
            || line.secret_age > SECRET_AGE
            || usize::try_from(line.store_keys).unwrap_or(usize::MAX) > budgets.len()
            || times.is_none_or(|(from, to)| line.at < from || line.at > to)
    };
    let odd = evidence.lines.iter().filter(is_odd).map(|line| format!("{line:?}"));
    let most = evidence.lines.iter().map(|line| line.policy_age).max().unwrap_or(0);
    let counted = format!("{} budgets, policy at most {most} s old", budgets.len());
    Check::of("all readings are possible", counted, &odd.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
