//! The committed ratios of instructions, and whether today's are worse.

use crate::measure::{Bench, Instructions};
use crate::programs::{BARE, Paths};
use crate::results::{Results, has_valgrind};
use crate::{Result, say};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A ratio may be this much worse.
const TOLERANCE: f64 = 1.05;
const FURTHER_REQUESTS: u64 = 100;

/// For each variant of the function, its instructions divided by those of the bare program without TLS. (With TLS, the bare
/// program collects entropy, and no two counts are the same.)
#[derive(Debug, Serialize, Deserialize)]
struct Baseline(BTreeMap<String, Ratios>);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ratios {
    start_to_first_reply: f64,
    further_request: f64,
    tls_start_to_first_reply: f64,
    tls_further_request: f64,
}

impl Ratios {
    fn of(plain: Instructions, tls: Instructions, bare: Instructions) -> Self {
        Self {
            start_to_first_reply: rounded(plain.start / bare.start),
            further_request: rounded(plain.request / bare.request),
            tls_start_to_first_reply: rounded(tls.start / bare.start),
            tls_further_request: rounded(tls.request / bare.request),
        }
    }

    fn named(self) -> [(&'static str, f64); 4] {
        [
            ("start to first reply", self.start_to_first_reply),
            ("further request", self.further_request),
            ("start to first reply, TLS", self.tls_start_to_first_reply),
            ("further request, TLS", self.tls_further_request),
        ]
    }
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1e3).round() / 1e3
}

fn path(paths: &Paths) -> PathBuf {
    paths.root.join("tools/bench/baseline.json")
}

/// Writes the ratios of a run.
pub(crate) fn record(results: &Results, paths: &Paths) -> Result<()> {
    let bare = results.program(BARE).and_then(|bare| bare.plain.instructions);
    let bare = bare.ok_or("no instructions were counted: install valgrind to record a baseline")?;
    let functions = results.programs.iter().filter(|program| program.name.starts_with("function"));
    let ratios = functions.filter_map(|program| {
        Some((
            program.name.to_owned(),
            Ratios::of(program.plain.instructions?, program.tls.instructions?, bare),
        ))
    });
    let text = serde_json::to_string_pretty(&Baseline(ratios.collect()))?;
    Ok(fs::write(path(paths), text + "\n")?)
}

/// Counts again. An error if a ratio is worse than the committed one by more than the tolerance.
pub(crate) async fn check(paths: &Paths) -> Result<()> {
    if !has_valgrind() {
        say(
            "SKIPPED: valgrind is not installed, so no instructions can be counted (Debian: apt-get install valgrind)",
        );
        return Ok(());
    }
    let baseline: Baseline = serde_json::from_slice(&fs::read(path(paths))?)?;
    let bench = Bench::new(&paths.output).await?;
    let programs = paths.programs()?;
    let bare = programs.iter().find(|program| program.name == BARE).ok_or("no bare program")?;
    let bare = bench.instructions(bare, &bench.plain, FURTHER_REQUESTS).await?;
    let mut worse = Vec::new();
    for (name, committed) in baseline.0 {
        let program = programs.iter().find(|program| program.name == name);
        let program = program.ok_or_else(|| format!("no program {name}"))?;
        let plain = bench.instructions(program, &bench.plain, FURTHER_REQUESTS).await?;
        let tls = bench.instructions(program, &bench.tls, FURTHER_REQUESTS).await?;
        let ratios = Ratios::of(plain, tls, bare).named();
        for ((what, was), (_, is)) in committed.named().into_iter().zip(ratios) {
            say(&format!("{name}, {what}: {is:.3} times the bare program; committed {was:.3}"));
            if is > was * TOLERANCE {
                worse.push(format!("{name}, {what}: {is:.3} is over {was:.3} by more than 5 %"));
            }
        }
    }
    if worse.is_empty() { Ok(()) } else { Err(worse.join("\n").into()) }
}
