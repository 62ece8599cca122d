//! A request for access as an item of the table.
//!
//! | attribute | type | content |
//! |---|---|---|
//! | `PK` | S | the first half of the id: a digest of principal and profile |
//! | `Id` | S | the id |
//! | `Kind` | S | `request`; the partition key of the index `ByTime` |
//! | `State` | S | `pending`, `approved`, `denied`, `withdrawn` |
//! | `Requester` | M | `Arn`, `Account`, `Name`, `Kind`, and where known `SessionName`, `Org`, `UniqueId` |
//! | `Profile`, `Reason`, `Ticket` | S | as requested |
//! | `Duration` | N | seconds |
//! | `CreatedAt`, `ExpiresAt`, `DecidedAt` | N | seconds since the Unix epoch; `CreatedAt` is the index's sort key |
//! | `DecidedBy` | S | a principal |
//! | `TTL` | N | when DynamoDB may delete the item |
//!
//! Invariant: an item that is not exactly so is no request.

use crate::access::{AccessId, AccessRequest, Reason, Requester, State, Ticket, moment};
use crate::request::{ProfileName, SessionDuration};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use time::UtcDateTime;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The partition of the index.
pub(super) const KIND: &str = "request";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn seconds(at: UtcDateTime) -> AttributeValue {
    AttributeValue::N(at.unix_timestamp().to_string())
}

/// The attributes that a new request sets, without its key and its `TTL`.
pub(super) fn attributes(request: &AccessRequest) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = vec![
        ("Id", text(request.id.to_string())),
        ("Kind", text(KIND)),
        ("State", text(request.state.name())),
        ("Requester", AttributeValue::M(requester(&request.requester))),
        ("Profile", text(request.profile.as_str())),
        ("Reason", text(request.reason.as_str())),
        ("Duration", AttributeValue::N(request.duration.seconds().to_string())),
        ("CreatedAt", seconds(request.created_at)),
        ("ExpiresAt", seconds(request.expires_at)),
    ];
    attributes.extend(request.ticket.as_ref().map(|ticket| ("Ticket", text(ticket.as_str()))));
    attributes
}

fn requester(requester: &Requester) -> Item {
    let known = [
        ("Arn", Some(&requester.arn)),
        ("Account", Some(&requester.account)),
        ("Name", Some(&requester.name)),
        ("Kind", Some(&requester.kind)),
        ("SessionName", requester.session_name.as_ref()),
        ("Org", requester.org.as_ref()),
        ("UniqueId", requester.unique_id.as_ref()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)))).collect()
}

/// The request in an item.
pub(super) fn read(item: &Item) -> Option<AccessRequest> {
    let requester = item.get("Requester")?.as_m().ok()?;
    Some(AccessRequest {
        id: AccessId::parse(&string(item, "Id")?)?,
        requester: Requester {
            arn: string(requester, "Arn")?,
            account: string(requester, "Account")?,
            name: string(requester, "Name")?,
            kind: string(requester, "Kind")?,
            session_name: optional(requester, "SessionName", Some).ok()?,
            org: optional(requester, "Org", Some).ok()?,
            unique_id: optional(requester, "UniqueId", Some).ok()?,
        },
        profile: ProfileName::try_from(string(item, "Profile")?).ok()?,
        reason: Reason::parse(&string(item, "Reason")?)?,
        ticket: optional(item, "Ticket", |text| Ticket::parse(&text)).ok()?,
        duration: SessionDuration::from_seconds(number(item, "Duration")?.parse().ok()?)?,
        state: State::ALL.into_iter().find(|state| {
            Some(state.name())
                == item.get("State").and_then(|value| Some(value.as_s().ok()?.as_str()))
        })?,
        created_at: moment(number(item, "CreatedAt")?)?,
        expires_at: moment(number(item, "ExpiresAt")?)?,
        decided_by: optional(item, "DecidedBy", Some).ok()?,
        decided_at: match item.get("DecidedAt") {
            Some(_) => Some(moment(number(item, "DecidedAt")?)?),
            None => None,
        },
    })
}

fn string(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn number<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_n().ok().map(String::as_str)
}

/// An attribute that has another type or form than it should.
struct Malformed;

/// The attribute, if the item has it.
fn optional<T>(
    item: &Item,
    name: &str,
    parse: impl FnOnce(String) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let text = value.as_s().map_err(|_| Malformed)?;
    parse(text.clone()).map(Some).ok_or(Malformed)
}
