//! What must hold after any schedule of the approvals.
//!
//! | invariant | read from |
//! |---|---|
//! | a request is approved at most once, from pending, before it expires, and ends once | the writes |
//! | nobody but the requester withdraws, and nobody approves or denies their own | the writes |
//! | a decision is about the request that was read, and its answer is true | writes and answers |
//! | an approval is used only while it is in force | writes and answers |
//! | a principal takes one emergency in 24 hours | writes and answers |

use super::people::caller;
use super::{Answer, Record};
use crate::dynamo::Write;
use crate::dynamo::expression::Item;
use crate::function::access::{AccessId, Approval, Change};
use crate::function::grants::AccessError;

pub(super) struct Checks<'a> {
    pub(super) records: &'a [Record],
    pub(super) changes: &'a [Write],
}

const DAY: u64 = 86_400;

impl Checks<'_> {
    pub(super) fn all(&self) -> Result<(), String> {
        self.changes.iter().try_for_each(write)?;
        self.records.iter().try_for_each(|record| match &record.answer {
            Answer::Created(id, result) => self.created(record, *id, result),
            Answer::Decided(id, change, result) => self.decided(record, *id, *change, result),
            Answer::Vended(Some(approval)) => self.vended(record, approval),
            Answer::Broken(result) => self.broken(record, result),
            Answer::Vended(None) => Ok(()),
        })
    }

    fn created(
        &self,
        record: &Record,
        id: AccessId,
        result: &Result<(), AccessError>,
    ) -> Result<(), String> {
        let is_written =
            self.changes.iter().any(|write| is(write, id) && state(&write.new) == "pending");
        if result.is_ok() && !is_written {
            return Err(format!("created, but not written: {record:?}"));
        }
        Ok(())
    }

    /// "Done" means that it was done. "Closed" means that it was not, or that somebody else has ended
    /// it since.
    fn decided(
        &self,
        record: &Record,
        id: AccessId,
        change: Change,
        result: &Result<(), AccessError>,
    ) -> Result<(), String> {
        let by = caller(record.who).principal().as_str();
        let expected = change.leads_to().name();
        let own = self.changes.iter().find(|write| {
            is(write, id)
                && state(&write.new) == expected
                && text(&write.new, "DecidedBy") == Some(by)
                && number(&write.new, "DecidedAt") == Some(record.now)
        });
        // The same person in the same second: the write may be that of the other request.
        let same = |other: &&Record| {
            let decided = matches!(other.answer, Answer::Decided(same, ..) if same == id);
            decided && (other.who, other.now) == (record.who, record.now)
        };
        let twice = self.records.iter().filter(same).count() > 1;
        let since = |write: &Write| {
            self.changes.iter().any(|other| {
                other.at > write.at && text(&other.new, "PK") == text(&write.new, "PK")
            })
        };
        match (result, own) {
            (Ok(()), None) => Err(format!("answered, but not written: {record:?}")),
            (Err(AccessError::Closed), Some(write))
                if !twice && write.at < record.ended && !since(write) =>
            {
                Err(format!("refused, but written: {record:?}"))
            }
            _ => Ok(()),
        }
    }

    /// At some moment of the request the approval was in force.
    fn vended(&self, record: &Record, approval: &Approval) -> Result<(), String> {
        let id = approval.id.unwrap_or_else(|| panic!("an approval from the table has an id"));
        let was_approved = self.changes.iter().any(|write| {
            let ended = self.changes.iter().find(|other| {
                other.at > write.at && text(&other.new, "PK") == text(&write.new, "PK")
            });
            is(write, id)
                && state(&write.new) == "approved"
                && write.at < record.ended
                && ended.is_none_or(|ended| record.begun < ended.at)
                && number(&write.new, "ExpiresAt").is_some_and(|end| record.now < end)
        });
        if was_approved { Ok(()) } else { Err(format!("no such approval is in force: {record:?}")) }
    }

    fn broken(&self, record: &Record, result: &Result<(), AccessError>) -> Result<(), String> {
        let own = self.changes.iter().any(|write| {
            text(&write.new, "Kind") == Some("emergency")
                && number(&write.new, "CreatedAt") == Some(record.now)
        });
        if result.is_ok() && !own {
            return Err(format!("taken, but not written: {record:?}"));
        }
        Ok(())
    }
}

/// One write, by what it found.
fn write(write: &Write) -> Result<(), String> {
    let (old, new) = (write.old.as_ref(), &write.new);
    let is_right = match text(new, "Kind") {
        Some("emergency") => {
            let (before, after) =
                (old.and_then(|old| number(old, "CreatedAt")), number(new, "CreatedAt"));
            before.zip(after).is_none_or(|(before, after)| before + DAY <= after)
        }
        _ if state(new) == "pending" => {
            old.is_none_or(|old| is_over(old, number(new, "CreatedAt")))
        }
        _ => old.is_some_and(|old| is_decision(old, new)),
    };
    if is_right { Ok(()) } else { Err(format!("a wrong write: {write:?}")) }
}

/// Whether a new request of `now` may take the place of this one.
fn is_over(old: &Item, now: Option<u64>) -> bool {
    let has_expired = number(old, "ExpiresAt").zip(now).is_some_and(|(end, now)| end <= now);
    has_expired || ["denied", "withdrawn"].contains(&state(old))
}

fn is_decision(old: &Item, new: &Item) -> bool {
    let (from, to) = (state(old), state(new));
    let is_step = match to {
        "approved" => from == "pending",
        "denied" | "withdrawn" => from == "pending" || from == "approved",
        _ => false,
    };
    let is_in_time =
        number(new, "DecidedAt").zip(number(old, "ExpiresAt")).is_some_and(|(at, end)| at < end);
    let requester = old.get("Requester").and_then(|requester| requester.as_m().ok());
    let requester = requester.and_then(|requester| text(requester, "Arn"));
    let is_own = text(new, "DecidedBy") == requester;
    let name = |arn: &str| arn.rsplit('/').next().map(str::to_lowercase);
    let is_anothers = text(new, "DecidedBy")
        .zip(requester)
        .is_some_and(|(by, requester)| by.contains(":user/") && name(by) != name(requester));
    let is_by_right = if to == "withdrawn" { is_own } else { is_anothers };
    is_step && is_in_time && is_by_right && text(old, "Id") == text(new, "Id")
}

fn is(write: &Write, id: AccessId) -> bool {
    text(&write.new, "Id") == Some(id.to_string().as_str())
}

fn state(item: &Item) -> &str {
    text(item, "State").unwrap_or_default()
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn number(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
