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
//! | `DeniedBy`, `DeniedAt` | S, N | who denied this request or one before it, and when; a new request keeps both |
//! | `TTL` | N | when DynamoDB may delete the item |
//!
//! An emergency has `EMERGENCY#` and a digest of the principal as `PK`, `emergency` as `Kind`,
//! `taken` as `State` (for those whom the stream tells), and `Requester`, `Profile`, `Reason`, `Ticket`, `CreatedAt`, `ExpiresAt` and `TTL`.
//!
//! Invariant: an item that is not exactly so is neither.

use crate::access::{AccessId, AccessRequest, Emergency, LastDenial, Requester, State, moment};
use crate::claims::{Reason, Ticket};
use crate::request::{ProfileName, SessionDuration};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use time::UtcDateTime;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The partition of requests in the index.
pub(super) const KIND: &str = "request";
/// That of emergencies.
const EMERGENCY: &str = "emergency";

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

/// The attributes of an emergency, without its key and its `TTL`.
pub(super) fn of_emergency(emergency: &Emergency) -> Vec<(&'static str, AttributeValue)> {
    let ticket = emergency.ticket.as_ref().map(|ticket| ("Ticket", text(ticket.as_str())));
    let mut attributes = vec![
        ("Kind", text(EMERGENCY)),
        ("State", text("taken")),
        ("Requester", AttributeValue::M(requester(&emergency.requester))),
        ("Profile", text(emergency.profile.as_str())),
        ("Reason", text(emergency.reason.as_str())),
        ("CreatedAt", seconds(emergency.began_at)),
        ("ExpiresAt", seconds(emergency.ends_at)),
    ];
    attributes.extend(ticket);
    attributes
}

/// The emergency in an item.
pub(super) fn read_emergency(item: &Item) -> Option<Emergency> {
    (string(item, "Kind")? == EMERGENCY).then_some(())?;
    Some(Emergency {
        requester: read_requester(item)?,
        profile: ProfileName::try_from(string(item, "Profile")?).ok()?,
        reason: Reason::parse(&string(item, "Reason")?)?,
        ticket: optional(item, "Ticket", |text| Ticket::parse(&text)).ok()?,
        began_at: moment(number(item, "CreatedAt")?)?,
        ends_at: moment(number(item, "ExpiresAt")?)?,
    })
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
    Some(AccessRequest {
        id: AccessId::parse(&string(item, "Id")?)?,
        requester: read_requester(item)?,
        profile: ProfileName::try_from(string(item, "Profile")?).ok()?,
        reason: Reason::parse(&string(item, "Reason")?)?,
        ticket: optional(item, "Ticket", |text| Ticket::parse(&text)).ok()?,
        duration: SessionDuration::from_seconds(number(item, "Duration")?.parse().ok()?)?,
        state: State::named(&string(item, "State")?)?,
        created_at: moment(number(item, "CreatedAt")?)?,
        expires_at: moment(number(item, "ExpiresAt")?)?,
        decided_by: optional(item, "DecidedBy", Some).ok()?,
        decided_at: match item.get("DecidedAt") {
            Some(_) => Some(moment(number(item, "DecidedAt")?)?),
            None => None,
        },
        last_denial: match (item.get("DeniedBy"), item.get("DeniedAt")) {
            (None, None) => None,
            _ => Some(LastDenial {
                by: string(item, "DeniedBy")?,
                at: moment(number(item, "DeniedAt")?)?,
            }),
        },
    })
}

fn read_requester(item: &Item) -> Option<Requester> {
    let requester = item.get("Requester")?.as_m().ok()?;
    Some(Requester {
        arn: string(requester, "Arn")?,
        account: string(requester, "Account")?,
        name: string(requester, "Name")?,
        kind: string(requester, "Kind")?,
        session_name: optional(requester, "SessionName", Some).ok()?,
        org: optional(requester, "Org", Some).ok()?,
        unique_id: optional(requester, "UniqueId", Some).ok()?,
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
