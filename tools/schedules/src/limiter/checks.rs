//! What must hold after any schedule of the limiter.
//!
//! With *B(t) = burst + t / interval*, for each window and any span of *t* seconds:
//!
//! - the table admits at most *B(t + s)*, where *s* is the greatest difference of two clocks;
//! - one instance admits at most *(1 + e) B(t)*, whoever decides, where *e* is how often its full
//!   local store forgot somebody;
//! - so all together admit at most *B(t + s)*, and *(1 + e) B(t)* more for each instance that decided
//!   without the table. In the failure mode `open` nothing bounds what an instance admits without it.

use super::plan::{Conditions, Plan, interval};
use super::{Block, Instance, Record};
use crate::function::rate_limit::{DecidedBy, Degraded, Outcome, Quota, StoreError};
use time::UtcDateTime;

pub(super) struct Checks<'a> {
    pub(super) plan: &'a Plan,
    pub(super) instances: &'a [Instance],
    pub(super) records: &'a [Record],
    pub(super) blocks: &'a [Block],
    /// Items that expired.
    pub(super) swept: usize,
}

impl Checks<'_> {
    pub(super) fn all(&self) -> Result<(), String> {
        for who in 0..super::CALLERS {
            self.quotas(who)?;
            self.blocks(who)?;
        }
        self.calm()?;
        self.faultless()?;
        self.throttled()
    }

    fn admitted(&self, who: usize) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.who == who)
            .filter(|record| matches!(record.outcome, Outcome::Admitted(_)))
    }

    fn quotas(&self, who: usize) -> Result<(), String> {
        let table = Bucket { clocks: self.plan.skew(), ..Bucket::default() };
        let by_table = |record: &&Record| record.by == DecidedBy::Table;
        self.within("the table", self.admitted(who).filter(by_table), &table.plus(1))?;
        let mut all = table.plus(1);
        for (index, instance) in self.instances.iter().enumerate() {
            let lives = 1 + instance.evictions();
            let alone = || {
                let own = self.admitted(who).filter(move |record| record.instance == index);
                own.filter(|record| record.by != DecidedBy::Table)
            };
            self.within("one instance alone", alone(), &Bucket::default().plus(lives))?;
            if alone().next().is_some() {
                all = all.plus(lives);
            }
        }
        self.within("all together", self.admitted(who), &all)
    }

    /// No span of the admitted requests may hold more than the bucket, in any window.
    fn within<'a>(
        &self,
        by: &str,
        admitted: impl Iterator<Item = &'a Record>,
        bucket: &Bucket,
    ) -> Result<(), String> {
        let mut times: Vec<_> = admitted.map(|record| record.at).collect();
        times.sort_unstable();
        for quota in &self.plan.quotas {
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let (count, most) = ((last - first + 1) as u64, bucket.most(*quota, to - from));
                    if count > most {
                        let span = to - from;
                        return Err(format!(
                            "{by} admitted {count} in {span} µs, at most {most} of {quota:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// A blocked caller is not admitted by the table, nor by an instance that knows of the block.
    fn blocks(&self, who: usize) -> Result<(), String> {
        let passed =
            |record: &&Record| matches!(record.outcome, Outcome::Admitted(_) | Outcome::Uncounted);
        for record in self.records.iter().filter(|record| record.who == who).filter(passed) {
            let blocked = self.blocks.iter().find(|block| block.covers(record));
            let Some(block) = blocked else { continue };
            let seen = self.records.iter().any(|other| {
                other.who == who
                    && other.instance == record.instance
                    && matches!(other.outcome, Outcome::Blocked(end) if block.ends_at(end))
                    && block.landed < other.begun
                    && other.ended < record.begun
            });
            let forgot = self.instances[record.instance].evictions() > 0;
            if record.by == DecidedBy::Table || (seen && !forgot) {
                return Err(format!("a blocked caller is admitted: {record:?} despite {block:?}"));
            }
        }
        Ok(())
    }

    /// At one moment, without faults: the burst, no more and no less.
    fn calm(&self) -> Result<(), String> {
        if self.plan.conditions != Conditions::Calm {
            return Ok(());
        }
        let burst = self.plan.quotas.iter().map(Quota::burst).min().unwrap_or(0) as usize;
        for who in 0..super::CALLERS {
            let asked = self.records.iter().filter(|record| record.who == who).count();
            let admitted = self.admitted(who).count();
            if admitted != asked.min(burst) {
                return Err(format!("{admitted} of {asked} admitted, with a burst of {burst}"));
            }
        }
        Ok(())
    }

    /// Without faults the table decides, in as many writes as the function says.
    fn faultless(&self) -> Result<(), String> {
        let most = 2 + self.plan.quotas.len();
        for record in self.records {
            let is_fallback = matches!(record.by, DecidedBy::Fallback(..));
            if self.plan.conditions != Conditions::Stormy && is_fallback {
                return Err(format!("the table did not decide: {record:?}"));
            }
            let contended = Degraded::Store(StoreError::Contended);
            let is_contended =
                matches!(&record.by, DecidedBy::Fallback(_, why) if *why == contended);
            if record.writes as usize > most || (is_contended && self.swept == 0) {
                return Err(format!("too many writes: {record:?}"));
            }
        }
        Ok(())
    }

    /// Whom the table throttles is admitted only by an instance that the table once answered.
    fn throttled(&self) -> Result<(), String> {
        for record in self.records {
            let throttled = matches!(
                &record.by,
                DecidedBy::Fallback(_, Degraded::Store(StoreError::Throttled(_)))
            );
            let admitted = matches!(record.outcome, Outcome::Admitted(_) | Outcome::Uncounted);
            // The instance learns of an answer before the request that got it ends.
            let answered = |other: &Record| {
                (other.instance, other.who) == (record.instance, record.who)
                    && other.by == DecidedBy::Table
                    && other.begun < record.ended
            };
            if throttled && admitted && !self.records.iter().any(answered) {
                return Err(format!("throttled, unknown and admitted: {record:?}"));
            }
        }
        Ok(())
    }
}

impl Block {
    fn ends_at(&self, end: UtcDateTime) -> bool {
        end.unix_timestamp().unsigned_abs() == self.until.div_ceil(1_000_000)
    }

    /// Whether it was there for as long as the request took.
    fn covers(&self, record: &Record) -> bool {
        self.who == record.who
            && self.landed < record.begun
            && self.lifted.is_none_or(|lifted| record.ended < lifted)
            && record.now < self.until
    }
}

/// The most that may be admitted.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// How far clocks differ, in microseconds.
    clocks: u64,
    buckets: u64,
}

impl Bucket {
    fn plus(self, buckets: u64) -> Self {
        Self { buckets: self.buckets + buckets, ..self }
    }

    fn most(&self, quota: Quota, span: u64) -> u64 {
        let one = |span: u64| u64::from(quota.burst()) + span / interval(quota);
        one(span + self.clocks) + (self.buckets - 1) * one(span)
    }
}
