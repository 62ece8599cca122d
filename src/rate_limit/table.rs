//! The shared table: what the limiter needs of it, and how it decides with conditional writes
//! alone, never a read.
//!
//! The table holds one number per principal, its TAT (see `gcra`). Two forms of write change it:
//!
//! - *ahead* (TAT > now): add a step, if `now < TAT <= latest`;
//! - *idle* (no item, or TAT <= now): set it to `now + step`, if there is no item or `TAT <= now`.
//!
//! If the day has a limit, the item holds a second TAT. The same write then changes both, each in its
//! own form, if both conditions hold. So no request is charged to one window and refused by the other.
//!
//! Every form also demands that the principal is not blocked: an operator's `Blocked` in the same item
//! refuses the principal until the time it holds. So the write that would charge a blocked principal
//! is the one that refuses it, in every instance.
//!
//! A failed condition returns the item. It shows whether the principal is blocked, the other form
//! applies, or the principal is over its quota, and for how long. Each write is atomic, so no
//! interleaving of instances admits more than one table-wide bucket would.
//!
//! # Why three writes are enough
//!
//! A TAT never shrinks, and `now` is the same in all writes of one decision. If *ahead* fails
//! because the principal is idle, *idle* is next. If *idle* fails because another instance charged
//! the principal in between, the TAT stays past `now`, and the second *ahead* either succeeds or
//! shows that the principal is over its quota. A decision that starts with *idle* needs one write
//! less. With two windows, the second *idle* may become *ahead* one write later than the first: four
//! writes are then enough. (DynamoDB's TTL deletes only items that have been idle for an hour. A race with it ends in
//! [`StoreError::Contended`], and the local store decides.)
//!
//! # Clocks
//!
//! Each instance uses its own clock. A clock that is `s` ahead sees the bucket `s` emptier. So
//! clocks that differ by at most `s` admit at most `s / interval` requests more than one clock
//! would: once, not per window. Lambda's clocks differ by milliseconds.

use super::gcra::Quota;
use super::windows::Windows;

/// How long an idle item stays, in seconds, so that no slow clock still needs a deleted item.
const GRACE_SECONDS: u64 = 3_600;

/// A table of TATs that can be changed by conditional writes. Implemented by
/// [`DynamoTable`](super::DynamoTable), and by simulations.
pub trait Table: Send + Sync {
    /// Tries one write.
    fn charge(
        &self,
        key: &str,
        charge: &Charge,
    ) -> impl Future<Output = Result<Charged, StoreError>> + Send;
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `now < TAT <= latest`; then `TAT += step`.
    Ahead,
    /// No item, or `TAT <= now`; then `TAT = now + step`.
    Idle,
}

/// One conditional write. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The request's time.
    pub now: u64,
    /// What changes in each window. All conditions must hold, or nothing changes.
    pub steps: Windows<Step>,
    /// When DynamoDB may delete the item, in seconds since the Unix epoch: at least an hour after
    /// it is idle.
    pub expires: u64,
}

/// One window's part of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The condition.
    pub form: Form,
    /// The growth of the TAT: one interval, and the requests owed from an outage.
    pub growth: u64,
    /// The latest TAT that still admits the request.
    pub latest: u64,
}

impl Step {
    /// The new TAT if the condition holds for `tat`.
    #[must_use]
    pub fn applied(&self, tat: u64, now: u64) -> Option<u64> {
        match self.form {
            Form::Ahead if now < tat && tat <= self.latest => Some(tat + self.growth),
            Form::Idle if tat <= now => Some(now + self.growth),
            Form::Ahead | Form::Idle => None,
        }
    }
}

/// The result of a write. It has the day's TAT if the charge had the day's step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The conditions held; the new TATs.
    Done(Windows<u64>),
    /// A condition failed; the TATs in the table, 0 for one that is not there.
    ConditionFailed(Windows<u64>),
    /// The condition failed, because the principal is blocked until this time.
    Blocked(u64),
}

/// Why the table did not decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The table throttles this key: a flood, not an outage.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Each write met another state of the item.
    #[error("contended")]
    Contended,
    /// The table refuses every request: permissions, name or schema.
    #[error("refused: {0}")]
    Misconfigured(String),
    /// No usable answer in time.
    #[error("out of reach: {0}")]
    Unreachable(String),
}

/// The table's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableDecision {
    /// Charged; the new TATs.
    Admitted(Windows<u64>),
    /// Over the quota of a window; the TATs in the table.
    Refused(Windows<u64>),
    /// Blocked until this time.
    Blocked(u64),
}

/// One request to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) key: &'a str,
    pub(super) quotas: Windows<Quota>,
    pub(super) now: u64,
    /// The TATs last seen, 0 for none. They suggest the first forms to try.
    pub(super) known: Windows<u64>,
    /// The time owed to the table.
    pub(super) owed: Windows<u64>,
}

impl Request<'_> {
    /// Decides in the table, usually with one write. `writes` counts the attempts, even if the
    /// caller gives up waiting.
    pub(super) async fn decide<T: Table>(
        &self,
        table: &T,
        writes: &mut u32,
    ) -> Result<TableDecision, StoreError> {
        let mut known = self.known;
        for _ in 0..self.most_writes() {
            *writes += 1;
            let charge = self.charge(known);
            known = match table.charge(self.key, &charge).await? {
                Charged::Done(tats) => return Ok(TableDecision::Admitted(tats)),
                Charged::Blocked(until) => return Ok(TableDecision::Blocked(until)),
                Charged::ConditionFailed(tats) => tats,
            };
            if charge.steps.zip(known).iter().any(|(step, tat)| tat > step.latest) {
                return Ok(TableDecision::Refused(known));
            }
        }
        Err(StoreError::Contended)
    }

    fn most_writes(&self) -> u32 {
        if self.quotas.day.is_some() { 4 } else { 3 }
    }

    fn charge(&self, known: Windows<u64>) -> Charge {
        let step = |((quota, tat), owed): ((Quota, u64), u64)| Step {
            form: if tat > self.now { Form::Ahead } else { Form::Idle },
            growth: quota.interval() + owed,
            latest: quota.latest(self.now).saturating_sub(owed),
        };
        Charge {
            now: self.now,
            steps: self.quotas.zip(known).zip(self.owed).map(step),
            expires: self.quotas.idle_from(self.now) + GRACE_SECONDS,
        }
    }
}
