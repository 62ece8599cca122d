//! Everything that a run measures.

use crate::cost::{Cost, Vend};
use crate::events::Events;
use crate::growth;
use crate::measure::{Bench, Cold, Instructions, Spread, Warm, ms, number};
use crate::programs::{BARE, Paths, Program};
use crate::upstream::{Counts, Upstreams};
use crate::{Result, say};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How much to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Effort {
    /// Cold starts of each program, with TLS and without.
    pub(crate) starts: usize,
    /// Requests to each warm program.
    pub(crate) requests: u64,
    /// What every upstream answer takes, in milliseconds, but for throughput.
    pub(crate) delay_ms: u64,
    /// The most callers, profiles and policies.
    pub(crate) callers: u64,
    pub(crate) profiles: usize,
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) effort: Effort,
    pub(crate) valgrind: bool,
    pub(crate) programs: Vec<Measured>,
    pub(crate) throughput: Vec<Throughput>,
    /// Of 300 requests at once with a quota of 100: how many passed.
    pub(crate) admitted_of_quota_100: u64,
    pub(crate) growth: Vec<Growth>,
    pub(crate) callers: Vec<Callers>,
    pub(crate) costs: Vec<Costs>,
}

/// One program.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) label: &'static str,
    pub(crate) name: &'static str,
    pub(crate) zip_mb: f64,
    /// Millions, from the start to the first reply, with the root certificates of this machine; absent without valgrind.
    pub(crate) machine_roots: Option<f64>,
    pub(crate) tls: Side,
    pub(crate) plain: Side,
}

/// One program, with TLS or without.
#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) first_poll_ms: Spread,
    pub(crate) first_reply_ms: Spread,
    pub(crate) cold_cpu_ms: Spread,
    pub(crate) start: Counts,
    pub(crate) first_request: Counts,
    pub(crate) warm: Warm,
    /// Millions; absent without valgrind.
    pub(crate) instructions: Option<Instructions>,
}

/// Requests per second, and the processors that the program kept busy, with this many requests at once.
#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) in_flight: u64,
    pub(crate) function: (f64, f64),
    pub(crate) bare: (f64, f64),
}

/// The function with this many profiles and policies.
#[derive(Debug, Serialize)]
pub(crate) struct Growth {
    pub(crate) profiles: usize,
    pub(crate) first_reply_ms: Spread,
    pub(crate) warm: Warm,
    pub(crate) instructions: Option<Instructions>,
}

/// The function when this many callers have called.
#[derive(Debug, Serialize)]
pub(crate) struct Callers {
    pub(crate) callers: u64,
    pub(crate) warm: Warm,
}

/// A million vends of one program.
#[derive(Debug, Serialize)]
pub(crate) struct Costs {
    pub(crate) label: &'static str,
    pub(crate) memory_mib: f64,
    /// If every vend finds a warm instance.
    pub(crate) warm: Cost,
    /// If every vend starts an instance.
    pub(crate) cold: Cost,
}

/// Whether callgrind can count.
pub(crate) fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

impl Results {
    pub(crate) async fn measure(paths: &Paths, effort: Effort) -> Result<Self> {
        let bench = Bench::new(&paths.output).await?;
        let delay = Duration::from_millis(effort.delay_ms);
        bench.plain.delay(delay);
        bench.tls.delay(delay);
        let run = Run { bench, paths, effort, valgrind: has_valgrind() };
        if !run.valgrind {
            say("valgrind is not installed: no instructions are counted");
        }
        let programs = run.programs(&paths.programs()?).await?;
        let costs = costs(&programs);
        Ok(Self {
            effort,
            valgrind: run.valgrind,
            costs,
            throughput: run.throughput().await?,
            admitted_of_quota_100: run.quota().await?,
            growth: run.growth().await?,
            callers: run.callers().await?,
            programs,
        })
    }

    pub(crate) fn program(&self, name: &str) -> Option<&Measured> {
        self.programs.iter().find(|program| program.name == name)
    }
}

struct Run<'a> {
    bench: Bench,
    paths: &'a Paths,
    effort: Effort,
    valgrind: bool,
}

impl Run<'_> {
    async fn programs(&self, programs: &[Program]) -> Result<Vec<Measured>> {
        let tls = self.side(programs, &self.bench.tls).await?;
        let plain = self.side(programs, &self.bench.plain).await?;
        let mut all = Vec::new();
        for (program, (tls, plain)) in programs.iter().zip(tls.into_iter().zip(plain)) {
            let machine_roots = if self.valgrind {
                Some(self.bench.with_machine_roots(program).await?)
            } else {
                None
            };
            let (label, name, zip_mb) = (program.label, program.name, zip_mb(&program.zipped)?);
            all.push(Measured { label, name, zip_mb, machine_roots, tls, plain });
        }
        Ok(all)
    }

    /// Cold starts take turns, so that a busy moment of the machine meets all programs.
    async fn side(&self, programs: &[Program], upstreams: &Upstreams) -> Result<Vec<Side>> {
        let scheme = if upstreams.uses_tls() { "TLS" } else { "plain" };
        say(&format!("cold starts, {scheme}"));
        let mut colds: Vec<Vec<Cold>> = vec![Vec::new(); programs.len()];
        for _ in 0..self.effort.starts {
            for (program, colds) in programs.iter().zip(&mut colds) {
                colds.push(self.bench.cold(program, upstreams).await?);
            }
        }
        let mut sides = Vec::new();
        for (program, colds) in programs.iter().zip(colds) {
            say(&format!("{}, {scheme}", program.label));
            let warm = self.bench.warm(program, upstreams, 200, self.effort.requests).await?;
            let instructions = self.instructions(program, upstreams).await?;
            let spread = |value: fn(&Cold) -> Duration| {
                Spread::of(colds.iter().map(|cold| ms(value(cold))).collect())
            };
            let usual = colds.get(colds.len() / 2).ok_or("no cold starts")?;
            sides.push(Side {
                first_poll_ms: spread(|cold| cold.first_poll),
                first_reply_ms: spread(|cold| cold.first_reply),
                cold_cpu_ms: spread(|cold| cold.cpu),
                start: usual.start.clone(),
                first_request: usual.first_request.clone(),
                warm,
                instructions,
            });
        }
        Ok(sides)
    }

    async fn instructions(
        &self,
        program: &Program,
        upstreams: &Upstreams,
    ) -> Result<Option<Instructions>> {
        if !self.valgrind {
            return Ok(None);
        }
        let more = if program.name == "boto3" { 20 } else { 100 };
        self.bench.instructions(program, upstreams, more).await.map(Some)
    }

    fn without_device(&self, bundle: &Path, profile: &str, callers: u64) -> Result<Program> {
        let events = Events::without_device(&self.paths.root, profile, callers)?;
        Ok(self.paths.function("function-varied", "this function", bundle, events))
    }

    async fn throughput(&self) -> Result<Vec<Throughput>> {
        say("throughput");
        let programs = self.paths.programs()?;
        let find = |name: &str| programs.iter().find(|program| program.name == name);
        let function = find("function").ok_or("no function")?;
        let bare = find(BARE).ok_or("no bare program")?;
        let mut all = Vec::new();
        for in_flight in [1, 2, 4, 8, 16] {
            let count = (self.effort.requests / 16).max(25) * in_flight;
            let delay = Duration::from_millis(5);
            all.push(Throughput {
                in_flight,
                function: self.bench.throughput(function, in_flight, delay, count).await?,
                bare: self.bench.throughput(bare, in_flight, delay, count).await?,
            });
        }
        Ok(all)
    }

    async fn quota(&self) -> Result<u64> {
        let program = self.without_device(&self.paths.root.join("policy"), "development", 1)?;
        self.bench.admitted(&program, 100, 300).await
    }

    async fn growth(&self) -> Result<Vec<Growth>> {
        let mut all = Vec::new();
        for profiles in [1, 100, 1_000].into_iter().filter(|count| *count <= self.effort.profiles) {
            say(&format!("{profiles} profiles and policies"));
            let bundle = self.paths.output.join(format!("bundle-{profiles}"));
            growth::write_bundle(&bundle, profiles)?;
            let program = self.without_device(&bundle, &growth::middle(profiles), 1)?;
            let mut colds = Vec::new();
            for _ in 0..self.effort.starts {
                colds.push(ms(self.bench.cold(&program, &self.bench.tls).await?.first_reply));
            }
            all.push(Growth {
                profiles,
                first_reply_ms: Spread::of(colds),
                warm: self.bench.warm(&program, &self.bench.tls, 200, self.effort.requests).await?,
                instructions: self.instructions(&program, &self.bench.plain).await?,
            });
        }
        Ok(all)
    }

    async fn callers(&self) -> Result<Vec<Callers>> {
        let mut all = Vec::new();
        for callers in [1, self.effort.callers] {
            say(&format!("{callers} callers"));
            let bundle = self.paths.root.join("policy");
            let program = self.without_device(&bundle, "development", callers)?;
            let before = callers.max(200);
            let warm = self.bench.warm(&program, &self.bench.tls, before, self.effort.requests);
            all.push(Callers { callers, warm: warm.await? });
        }
        Ok(all)
    }
}

/// The size of a zip with these files, in millions of bytes, without its directory.
fn zip_mb(files: &[PathBuf]) -> Result<f64> {
    let mut size = 0;
    for file in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder
            .write_all(&fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?)?;
        size += encoder.finish()?.len();
    }
    Ok(number(u64::try_from(size)?) / 1e6)
}

fn costs(programs: &[Measured]) -> Vec<Costs> {
    programs
        .iter()
        .filter(|program| program.warm_calls("AssumeRole") > 0.0)
        .map(|program| Costs {
            label: program.label,
            memory_mib: 128.0,
            warm: program.warm_vend().cost(128.0),
            cold: program.cold_vend().cost(128.0),
        })
        .collect()
}

impl Measured {
    fn warm_calls(&self, operation: &str) -> f64 {
        self.tls.warm.calls.get(operation).copied().unwrap_or(0.0)
    }

    fn warm_vend(&self) -> Vend {
        Vend {
            cpu_ms: self.tls.warm.cpu_ms,
            waits: self.tls.warm.calls.values().sum(),
            writes: self.warm_calls("UpdateItem"),
            secrets: 0.0,
            log_bytes: self.tls.warm.log_bytes,
        }
    }

    /// Each connection waits once for TCP and once for TLS before its first call. Those of the start are opened at the same time,
    /// so the start waits three times in all, if it calls anything.
    fn cold_vend(&self) -> Vend {
        let Counts { calls, connections } = &self.tls.first_request;
        let all = |operation: &str| {
            let count = |counts: &Counts| counts.calls.get(operation).copied().unwrap_or(0);
            number(count(&self.tls.start) + count(&self.tls.first_request))
        };
        let at_start = if self.tls.start.calls.is_empty() { 0.0 } else { 3.0 };
        let waits = calls.values().sum::<u64>() + 2 * connections.values().sum::<u64>();
        Vend {
            cpu_ms: self.tls.cold_cpu_ms.median,
            waits: at_start + number(waits),
            writes: all("UpdateItem"),
            secrets: all("GetSecretValue"),
            log_bytes: self.tls.warm.log_bytes,
        }
    }
}
