//! The measurements.

use crate::authority::Authority;
use crate::lambda::Instance;
use crate::programs::Program;
use crate::upstream::{Counts, Upstreams};
use crate::{Result, say};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where programs are measured.
pub(crate) struct Bench {
    pub(crate) authority: Authority,
    pub(crate) plain: Upstreams,
    pub(crate) tls: Upstreams,
    /// The directory for logs and profiles.
    pub(crate) output: PathBuf,
}

/// The middle and the ends of some values.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), min: at(0), max: at(values.len().saturating_sub(1)) }
    }
}

/// One start and one request.
#[derive(Debug, Clone)]
pub(crate) struct Cold {
    pub(crate) first_poll: Duration,
    pub(crate) first_reply: Duration,
    /// Processor time from the start to the first reply.
    pub(crate) cpu: Duration,
    /// Before the first poll.
    pub(crate) start: Counts,
    /// From there to the first reply.
    pub(crate) first_request: Counts,
}

/// Many requests, one after the other, to one process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Warm {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) peak_mib: f64,
    /// Calls per request.
    pub(crate) calls: std::collections::BTreeMap<&'static str, f64>,
    /// Bytes that the program writes to its log per request.
    pub(crate) log_bytes: f64,
}

/// Millions of instructions, as callgrind counts them.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Instructions {
    /// From the start to the first reply.
    pub(crate) start: f64,
    /// Of each further request.
    pub(crate) request: f64,
}

impl Bench {
    pub(crate) async fn new(output: &Path) -> Result<Self> {
        let authority = Authority::new(&output.join("tls"))?;
        let plain = Upstreams::start(None).await?;
        let tls = Upstreams::start(Some(&authority.acceptor)).await?;
        Ok(Self { authority, plain, tls, output: output.to_owned() })
    }

    fn log(&self, program: &Program) -> PathBuf {
        self.output.join(format!("{}.log", program.name))
    }

    /// Variables in `more` replace those of the program; an empty one removes it.
    async fn start(
        &self,
        program: &Program,
        upstreams: &Upstreams,
        before: &[String],
        more: &[(&str, &str)],
    ) -> Result<Instance> {
        let command = [before, &program.command].concat();
        let mut variables = program.settings.variables(upstreams, &self.authority);
        variables.retain(|(name, _)| !more.iter().any(|(other, _)| name == other));
        let more = more.iter().filter(|(_, value)| !value.is_empty());
        variables.extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Instance::start(&command, &variables, &program.directory, &self.log(program)).await
    }

    /// Starts the program with one event waiting.
    pub(crate) async fn cold(&self, program: &Program, upstreams: &Upstreams) -> Result<Cold> {
        let before = upstreams.counts();
        let mut instance = self.start(program, upstreams, &[], &[]).await?;
        instance.send(0, program.events.event(0))?;
        let first_poll = instance.first_poll().await?;
        let at_poll = upstreams.counts();
        let reply = instance.success().await?;
        let (cpu, after) = (instance.usage()?.cpu, upstreams.counts());
        Ok(Cold {
            first_poll,
            first_reply: reply.since_start,
            cpu,
            start: at_poll.since(&before),
            first_request: after.since(&at_poll),
        })
    }

    /// Sends `count` requests after `warm_up` others.
    pub(crate) async fn warm(
        &self,
        program: &Program,
        upstreams: &Upstreams,
        warm_up: u64,
        count: u64,
    ) -> Result<Warm> {
        let mut instance = self.start(program, upstreams, &[], &[]).await?;
        instance.drive(warm_up, 1, |number| program.events.event(number)).await?;
        let (counts, usage, written) =
            (upstreams.counts(), instance.usage()?, fs::metadata(self.log(program))?.len());
        let event = |number| program.events.event(warm_up + number);
        let replies = instance.drive(count, 1, event).await?;
        let mut times: Vec<Duration> = replies.iter().map(|reply| reply.took).collect();
        let (calls, end) = (upstreams.counts().since(&counts).calls, instance.usage()?);
        times.sort();
        let each = |total: f64| total / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let percentile = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
        Ok(Warm {
            p50_ms: percentile(50),
            p99_ms: percentile(99),
            cpu_ms: each(ms(end.cpu.saturating_sub(usage.cpu))),
            peak_mib: number(end.peak_kib) / 1024.0,
            calls: calls.into_iter().map(|(name, calls)| (name, each(number(calls)))).collect(),
            log_bytes: each(number(fs::metadata(self.log(program))?.len() - written)),
        })
    }

    /// Requests per second with this many in flight, upstreams that take `delay`, and the concurrency that Lambda Managed
    /// Instances announce. The second number is the processors that the program kept busy.
    pub(crate) async fn throughput(
        &self,
        program: &Program,
        in_flight: u64,
        delay: Duration,
        count: u64,
    ) -> Result<(f64, f64)> {
        let concurrency = [("AWS_LAMBDA_MAX_CONCURRENCY", "16")];
        let mut instance = self.start(program, &self.tls, &[], &concurrency).await?;
        instance.drive(4 * in_flight, in_flight, |number| program.events.event(number)).await?;
        self.tls.delay(delay);
        let (usage, begin) = (instance.usage()?, Instant::now());
        let driven = instance.drive(count, in_flight, |number| program.events.event(number)).await;
        let (elapsed, end) = (begin.elapsed().as_secs_f64(), instance.usage()?);
        self.tls.delay(Duration::ZERO);
        driven?;
        Ok((number(count) / elapsed, end.cpu.saturating_sub(usage.cpu).as_secs_f64() / elapsed))
    }

    /// How many of `count` requests of one caller pass, 16 at once, with a quota of `quota` for a day.
    pub(crate) async fn admitted(&self, program: &Program, quota: u64, count: u64) -> Result<u64> {
        let quota = quota.to_string();
        let variables = [
            ("AWS_LAMBDA_MAX_CONCURRENCY", "16"),
            ("SENTINEL_RATE_LIMIT_REQUESTS", quota.as_str()),
            ("SENTINEL_RATE_LIMIT_WINDOW", "86400"),
        ];
        let fresh = Upstreams::start(Some(&self.authority.acceptor)).await?;
        fresh.delay(Duration::from_millis(1));
        let mut instance = self.start(program, &fresh, &[], &variables).await?;
        for number in 0..count {
            instance.send(number, program.events.event(number))?;
        }
        let mut admitted = 0;
        for _ in 0..count {
            admitted += u64::from(instance.reply().await?.status == 200);
        }
        Ok(admitted)
    }

    /// Counts instructions under callgrind: with one request, and with `more` requests after it. Each is the least of `times`
    /// counts, because a busy machine adds connections and polls, and nothing takes any away.
    pub(crate) async fn instructions(
        &self,
        program: &Program,
        upstreams: &Upstreams,
        more: u64,
        times: usize,
    ) -> Result<Instructions> {
        let (mut start, mut all) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..times {
            start = start.min(self.counted(program, upstreams, 1, &[]).await?);
            all = all.min(self.counted(program, upstreams, 1 + more, &[]).await?);
        }
        Ok(Instructions { start, request: (all - start) / number(more) })
    }

    /// Millions of instructions from the start to the first reply, without TLS, where the program reads the root certificates of
    /// this machine instead of the bench's.
    pub(crate) async fn with_machine_roots(&self, program: &Program) -> Result<f64> {
        self.counted(program, &self.plain, 1, &[("SSL_CERT_FILE", "")]).await
    }

    /// Under valgrind on a busy machine, a program may meet its own time limits. Then it is not what was to be counted.
    async fn counted(
        &self,
        program: &Program,
        upstreams: &Upstreams,
        count: u64,
        more: &[(&str, &str)],
    ) -> Result<f64> {
        for _ in 0..4 {
            match self.callgrind(program, upstreams, count, more).await {
                Err(error) => say(&format!("{}: {error}; counting again", program.label)),
                counted => return counted,
            }
        }
        self.callgrind(program, upstreams, count, more).await
    }

    async fn callgrind(
        &self,
        program: &Program,
        upstreams: &Upstreams,
        count: u64,
        more: &[(&str, &str)],
    ) -> Result<f64> {
        let scheme = if upstreams.uses_tls() { "tls" } else { "plain" };
        let profile = self.output.join(format!("{}-{scheme}-{count}.callgrind", program.name));
        let _ = fs::remove_file(&profile);
        let file = format!("--callgrind-out-file={}", profile.display());
        let valgrind = ["valgrind", "--tool=callgrind", "--fair-sched=yes", &file].map(str::to_owned);
        let mut instance = self.start(program, upstreams, &valgrind, more).await?;
        let before = upstreams.counts();
        instance.drive(count, 1, |number| program.events.event(number)).await?;
        let calls = upstreams.counts().since(&before).calls;
        instance.terminate().await?;
        if let Some(retried) = calls.get("UpdateItem").filter(|calls| **calls > count + 1) {
            return Err(format!(
                "{retried} UpdateItem for {count} requests: a time limit passed under valgrind"
            )
            .into());
        }
        let text = fs::read_to_string(&profile)
            .map_err(|error| format!("{}: {error}", profile.display()))?;
        let total = text.lines().find_map(|line| {
            line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: "))
        });
        let total: f64 = total.ok_or("callgrind wrote no total")?.trim().parse()?;
        Ok(total / 1e6)
    }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
