//! The report: JSON, a table, and a chart.

mod chart;
mod text;

pub(crate) use chart::draw;

use crate::checks::{self, Check, Evidence, Growth};
use crate::clock::SECOND;
use serde::Serialize;
use std::collections::BTreeMap;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    seconds: u64,
    /// How the function was built.
    build: String,
    processors: usize,
    requests: usize,
    requests_per_minute: u64,
    held_back: u64,
    instances: u32,
    codes: BTreeMap<String, u64>,
    /// From the hand-out to the reply, in milliseconds: the median, and what 99 % stay below.
    took_ms: [f64; 2],
    decided_by: BTreeMap<String, u64>,
    /// Calls of each service.
    calls: BTreeMap<&'static str, u64>,
    /// Calls that failed on purpose, by service and kind.
    injected: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// What else was done, and how often.
    incidents: BTreeMap<&'static str, u64>,
    log_bytes: u64,
    /// What the function logged beside audit lines.
    messages: BTreeMap<String, u64>,
    memory_kib: Option<Growth>,
    descriptors: Option<Growth>,
    checks: Vec<Check>,
}

impl Report {
    pub(crate) fn of(evidence: &Evidence, seed: u64, build: &str) -> Self {
        let seconds = (evidence.plan.end - evidence.plan.begin) / SECOND;
        let requests = evidence.exchanges.len();
        let mut injected: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for ((service, kind), count) in &evidence.injected {
            injected.entry(service.name()).or_default().insert(*kind, *count);
        }
        let others = evidence.incidents.iter().filter(|incident| {
            incident.service.is_none() || incident.what == "bundle that does not load"
        });
        let limited = evidence.lines.iter().filter(|line| line.tier != "health");
        Self {
            seed,
            seconds,
            build: build.to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            requests,
            requests_per_minute: u64::try_from(requests).unwrap_or(0) * 60 / seconds.max(1),
            held_back: evidence.held_back,
            instances: evidence.usage.iter().map(|reading| reading.instance).max().unwrap_or(0),
            codes: count(evidence.lines.iter().map(|line| line.code.clone())),
            took_ms: took(evidence),
            decided_by: count(
                limited.map(|line| line.decided_by.clone()).filter(|by| !by.is_empty()),
            ),
            calls: evidence.calls.iter().map(|(service, count)| (service.name(), *count)).collect(),
            injected,
            incidents: count(others.map(|incident| incident.what)),
            log_bytes: evidence.log_bytes,
            messages: evidence.messages.clone(),
            memory_kib: Growth::after_warm_up(evidence, |reading| reading.kib),
            descriptors: Growth::after_warm_up(evidence, |reading| reading.descriptors),
            checks: checks::all(evidence),
        }
    }

    /// Whether every check passed.
    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    pub(crate) fn table(&self) -> String {
        text::render(self)
    }
}

fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn took(evidence: &Evidence) -> [f64; 2] {
    let took = evidence.exchanges.values().filter_map(|exchange| {
        Some(exchange.reply.as_ref()?.at.saturating_sub(exchange.handed_out?.1))
    });
    let mut took: Vec<u64> = took.collect();
    took.sort_unstable();
    let at = |percent: usize| {
        took.get(took.len() * percent / 100).map_or(0.0, |micros| *micros as f64 / 1e3)
    };
    [at(50), at(99)]
}
