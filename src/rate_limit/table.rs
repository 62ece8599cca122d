//! What the limiter needs of a shared table, and how it decides with it: conditional writes alone, never a read.
//!
//! One number per principal, its TAT, lives in the table. Two forms of write change it:
//!
//! - *ahead* (TAT > now): add a step, if `now < TAT <= latest`;
//! - *idle* (no item, or TAT <= now): set it to `now + step`, if there is no item or `TAT <= now`.
//!
//! A failed condition returns the item, which tells whether the other form holds or the principal is over its quota, and for
//! how long. Each form is atomic in the table, so no interleaving of instances admits more than one table-wide bucket would.
//!
//! # Why three writes are enough
//!
//! A TAT never shrinks, and `now` is one number for the whole decision. If *ahead* fails because the principal was idle,
//! *idle* is tried; if that fails because somebody else charged the same principal in between, the TAT is past `now` for
//! good, and *ahead* either succeeds or is over the quota. Starting from *idle* it is one less. (Deletion by TTL takes only items
//! that have been idle for an hour; racing it ends in [`StoreError::Contended`], decided locally.)
//!
//! # Clocks
//!
//! Each instance judges by its own clock. A clock that is `s` ahead sees the bucket `s` emptier, and leaves it at most `s`
//! fuller for the others; so clocks that differ by at most `s` admit at most `s / interval` requests more than one clock
//! would, once, not per window. Lambda's clocks differ by milliseconds.

use super::gcra::Quota;

/// How long an idle item stays, in seconds, so that no clock that is slow still needs it when it is deleted.
const GRACE_SECONDS: u64 = 3_600;

/// A table of TATs that can be changed by conditional writes. Implemented by [`DynamoTable`](super::DynamoTable), and by
/// simulations.
pub trait Table: Send + Sync {
    /// Tries one write.
    fn charge(
        &self,
        key: &str,
        charge: &Charge,
    ) -> impl Future<Output = Result<Charged, StoreError>> + Send;
}

/// Which condition a write rests on.
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
    /// How much the TAT grows: one interval, and what is owed from an outage.
    pub step: u64,
    /// The latest TAT with which the request is admitted.
    pub latest: u64,
    /// When the item may be deleted, in seconds since the Unix epoch: an hour after it is idle at the latest.
    pub expires: u64,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The condition held; the new TAT.
    Done(u64),
    /// The condition failed; the TAT in the table, 0 if there is no item.
    ConditionFailed(u64),
}

/// Why the table did not decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The table is busy with this very key: its flood, not an outage.
    #[error("throttled: {0}")]
    Throttled(String),
    /// Three writes met three different states of the item.
    #[error("contended")]
    Contended,
    /// The table refuses on principle: permissions, name, schema.
    #[error("refused: {0}")]
    Misconfigured(String),
    /// No usable answer in time.
    #[error("out of reach: {0}")]
    Unreachable(String),
}

/// The table's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Charged; the new TAT.
    Admitted(u64),
    /// Over the quota; the TAT in the table.
    Refused(u64),
}

/// One request to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) key: &'a str,
    pub(super) quota: &'a Quota,
    pub(super) now: u64,
    /// The TAT last seen, 0 for none: the guess which form holds.
    pub(super) known: u64,
    /// What is owed to the table.
    pub(super) owed: u64,
}

impl Request<'_> {
    /// Decides in the table, in one write as a rule. `writes` counts those tried, for the caller to see even if it gives up.
    pub(super) async fn decide<T: Table>(
        &self,
        table: &T,
        writes: &mut u32,
    ) -> Result<Verdict, StoreError> {
        let mut form = self.form_for(self.known);
        for _ in 0..3 {
            *writes += 1;
            let charge = self.charge(form);
            let tat = match table.charge(self.key, &charge).await? {
                Charged::Done(tat) => return Ok(Verdict::Admitted(tat)),
                Charged::ConditionFailed(tat) => tat,
            };
            if tat > charge.latest {
                return Ok(Verdict::Refused(tat));
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
