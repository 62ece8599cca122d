//! The shared table: what the limiter needs of it, and how it decides with conditional writes
//! alone, never a read.
//!
//! The table holds one number per principal, its TAT (see `gcra`). Two forms of write change it:
//!
//! - *ahead* (TAT > now): add a step, if `now < TAT <= latest`;
//! - *idle* (no item, or TAT <= now): set it to `now + step`, if there is no item or `TAT <= now`.
//!
//! Both forms also demand that the principal is not blocked: an operator's `Blocked` in the same item
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
//! less. (DynamoDB's TTL deletes only items that have been idle for an hour. A race with it ends in
//! [`StoreError::Contended`], and the local store decides.)
//!
//! # Clocks
//!
//! Each instance uses its own clock. A clock that is `s` ahead sees the bucket `s` emptier. So
//! clocks that differ by at most `s` admit at most `s / interval` requests more than one clock
//! would: once, not per window. Lambda's clocks differ by milliseconds.

use super::gcra::Quota;

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
    /// The condition.
    pub form: Form,
    /// The request's time.
    pub now: u64,
    /// The growth of the TAT: one interval, and the requests owed from an outage.
    pub step: u64,
    /// The latest TAT that still admits the request.
    pub latest: u64,
    /// When DynamoDB may delete the item, in seconds since the Unix epoch: at least an hour after
    /// it is idle.
    pub expires: u64,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The condition held; the new TAT.
    Done(u64),
    /// The condition failed; the TAT in the table, 0 if there is none.
    ConditionFailed(u64),
    /// The condition failed, because the principal is blocked until this time.
    Blocked(u64),
}

/// Why the table did not decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The table throttles this key: a flood, not an outage.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Three writes met three different states of the item.
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
    /// Charged; the new TAT.
    Admitted(u64),
    /// Over the quota; the TAT in the table.
    Refused(u64),
    /// Blocked until this time.
    Blocked(u64),
}

/// One request to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) key: &'a str,
    pub(super) quota: &'a Quota,
    pub(super) now: u64,
    /// The TAT last seen, 0 for none. It suggests the first form to try.
    pub(super) known: u64,
    /// The time owed to the table.
    pub(super) owed: u64,
}

impl Request<'_> {
    /// Decides in the table, usually with one write. `writes` counts the attempts, even if the
    /// caller gives up waiting.
    pub(super) async fn decide<T: Table>(
        &self,
        table: &T,
        writes: &mut u32,
    ) -> Result<TableDecision, StoreError> {
        let mut form = self.form_for(self.known);
        for _ in 0..3 {
            *writes += 1;
            let charge = self.charge(form);
            let tat = match table.charge(self.key, &charge).await? {
                Charged::Done(tat) => return Ok(TableDecision::Admitted(tat)),
                Charged::Blocked(until) => return Ok(TableDecision::Blocked(until)),
                Charged::ConditionFailed(tat) => tat,
            };
            if tat > charge.latest {
                return Ok(TableDecision::Refused(tat));
            }
            form = self.form_for(tat);
        }
        Err(StoreError::Contended)
    }

    fn form_for(&self, tat: u64) -> Form {
        if tat > self.now { Form::Ahead } else { Form::Idle }
    }

    fn charge(&self, form: Form) -> Charge {
        let latest = self.quota.latest(self.now);
        Charge {
            form,
            now: self.now,
            step: self.quota.interval() + self.owed,
            latest: latest.saturating_sub(self.owed),
            expires: (latest + self.quota.interval()).div_ceil(1_000_000) + GRACE_SECONDS,
        }
    }
}
