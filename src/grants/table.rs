//! The table in DynamoDB: `GetItem`, `UpdateItem` with a condition, and a `Query` of its index.

use super::item::{self, Item, KIND, seconds, text};
use super::{GrantsUnavailable, Written};
use crate::access::{AccessRequest, BETWEEN_EMERGENCIES, Change, Emergency, State};
use crate::digest::short_digest;
use crate::upstream::{CallError, MALFORMED, limited};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use std::time::Duration as StdDuration;
use time::{Duration, UtcDateTime};

const ATTEMPT: StdDuration = StdDuration::from_secs(1);
const ALL_ATTEMPTS: StdDuration = StdDuration::from_millis(2_500);
/// How long a request stays in the table after it has expired, so that people can look it up.
const KEPT: Duration = Duration::days(30);
/// Newest first.
const INDEX: &str = "ByTime";

/// A new request replaces none that is in force.
const REPLACEABLE: &str =
    "attribute_not_exists(PK) OR #ExpiresAt <= :now OR #State IN (:denied, :withdrawn)";
/// A decision changes exactly the request that was read, before it expires: `State` must be one from
/// which the change starts. So a denial also wins over an approval that comes between its read and
/// its write.
const OPEN: &str = "#Id = :Id AND #ExpiresAt > :now AND #State IN ";

const DECISION: &str = "SET #State = :State, #ExpiresAt = :ExpiresAt, #DecidedBy = :DecidedBy, #DecidedAt = :DecidedAt, #TTL = :TTL";

/// One emergency of a principal within a day. The same one again is a retry.
const REPEATABLE: &str = "attribute_not_exists(PK) OR #CreatedAt <= :day_ago";

#[derive(Debug)]
pub(super) struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(super) fn new(aws: &aws_config::SdkConfig, name: &str) -> Self {
        let client = Client::new(&limited(aws, ATTEMPT, Some(ALL_ATTEMPTS)));
        Self { client, name: name.to_owned() }
    }

    /// The request at a place, as it is now.
    pub(super) async fn get(
        &self,
        place: &str,
    ) -> Result<Option<AccessRequest>, GrantsUnavailable> {
        self.item(place.to_owned()).await?.as_ref().map(request).transpose()
    }

    /// The item with this key, as it is now.
    async fn item(&self, key: String) -> Result<Option<Item>, GrantsUnavailable> {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        let output = Box::pin(get.key("PK", text(key)).send()).await;
        Ok(output.map_err(|error| failed(&error))?.item)
    }

    /// The last emergency of a principal.
    pub(super) async fn emergency(
        &self,
        principal: &str,
    ) -> Result<Option<Emergency>, GrantsUnavailable> {
        let item = self.item(emergency_key(principal)).await?;
        let read = |item: &Item| item::read_emergency(item).ok_or_else(malformed);
        item.as_ref().map(read).transpose()
    }

    pub(super) async fn take(&self, emergency: &Emergency) -> Result<Written, GrantsUnavailable> {
        let day_ago = emergency.began_at - BETWEEN_EMERGENCIES;
        let update = self
            .update(emergency_key(&emergency.requester.arn), emergency.ends_at)
            .condition_expression(REPEATABLE)
            .expression_attribute_values(":day_ago", seconds(day_ago));
        let update = replace(update, item::of_emergency(emergency), &["Ticket"]);
        let answer = Box::pin(update.send()).await;
        written(answer, |item| item::read_emergency(item).as_ref() == Some(emergency))
    }

    pub(super) async fn create(
        &self,
        request: &AccessRequest,
        now: UtcDateTime,
    ) -> Result<Written, GrantsUnavailable> {
        let update = self
            .update(request.id.place(), request.expires_at)
            .condition_expression(REPLACEABLE)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_values(":denied", text(State::Denied.name()))
            .expression_attribute_values(":withdrawn", text(State::Withdrawn.name()));
        let update =
            replace(update, item::attributes(request), &["DecidedBy", "DecidedAt", "Ticket"]);
        let answer = Box::pin(update.send()).await;
        // The item keeps the last denial, of which a new request knows nothing.
        let written_one =
            |item: &Item| Some(AccessRequest { last_denial: None, ..item::read(item)? });
        written(answer, |item| written_one(item).as_ref() == Some(request))
    }

    /// Writes the state, the decision and the end of `changed`.
    pub(super) async fn decide(
        &self,
        changed: &AccessRequest,
        change: Change,
        now: UtcDateTime,
    ) -> Result<Written, GrantsUnavailable> {
        let states: Vec<_> = change.starts_from().iter().map(|state| state.name()).collect();
        let condition = format!("{OPEN}(:{})", states.join(", :"));
        let denial = match change {
            Change::Deny => ", DeniedBy = :DecidedBy, DeniedAt = :DecidedAt",
            Change::Approve | Change::Withdraw => "",
        };
        let expression = format!("{DECISION}{denial}");
        let by = changed.decided_by.clone().unwrap_or_default();
        let update = self
            .update(changed.id.place(), changed.expires_at)
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":now", seconds(now))
            .expression_attribute_names("#Id", "Id")
            .expression_attribute_values(":Id", text(changed.id.to_string()));
        let update = set(update, "State", text(changed.state.name()));
        let update = set(update, "ExpiresAt", seconds(changed.expires_at));
        let update = set(update, "DecidedBy", text(by));
        let update = set(update, "DecidedAt", seconds(changed.decided_at.unwrap_or(now)));
        let value = |state: &&str| (format!(":{state}"), text(*state));
        let update = states
            .iter()
            .map(value)
            .fold(update, |update, (name, value)| update.expression_attribute_values(name, value));
        let answer = Box::pin(update.send()).await;
        written(answer, |item| item::read(item).as_ref() == Some(changed))
    }

    pub(super) async fn newest(&self) -> Result<Vec<AccessRequest>, GrantsUnavailable> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(INDEX)
            .key_condition_expression("#Kind = :Kind")
            .expression_attribute_names("#Kind", "Kind")
            .expression_attribute_values(":Kind", text(KIND))
            .scan_index_forward(false);
        let output = Box::pin(query.send()).await.map_err(|error| failed(&error))?;
        Ok(output.items().iter().filter_map(listed).collect())
    }

    /// An update of the item with this key, which expires at `end`.
    fn update(&self, key: String, end: UtcDateTime) -> UpdateItemFluentBuilder {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        set(update.key("PK", text(key)), "TTL", seconds(end + KEPT))
    }
}

fn emergency_key(principal: &str) -> String {
    format!("EMERGENCY#{}", short_digest(principal))
}

/// Sets these attributes beside the `TTL`, and removes those of `optional` that are not among them.
fn replace(
    mut update: UpdateItemFluentBuilder,
    attributes: Vec<(&'static str, AttributeValue)>,
    optional: &[&str],
) -> UpdateItemFluentBuilder {
    let is_set = |name: &&str| attributes.iter().any(|(set, _)| set == name);
    let removed: Vec<&str> = optional.iter().copied().filter(|name| !is_set(name)).collect();
    let mut assigned = vec!["#TTL = :TTL".to_owned()];
    for (name, value) in attributes {
        assigned.push(format!("#{name} = :{name}"));
        update = set(update, name, value);
    }
    let mut expression = format!("SET {}", assigned.join(", "));
    if !removed.is_empty() {
        expression = format!("{expression} REMOVE {}", removed.join(", "));
    }
    update.update_expression(expression)
}

fn set(
    update: UpdateItemFluentBuilder,
    name: &str,
    value: AttributeValue,
) -> UpdateItemFluentBuilder {
    update
        .expression_attribute_names(format!("#{name}"), name)
        .expression_attribute_values(format!(":{name}"), value)
}

/// One item that cannot be read must not hide the others from those who decide. Reading it alone is
/// still a failure.
fn listed(item: &Item) -> Option<AccessRequest> {
    let read = item::read(item);
    if read.is_none() {
        let id = item.get("Id").and_then(|id| id.as_s().ok());
        tracing::error!(?id, "the list leaves out an item of the grants table that cannot be read");
    }
    read
}

fn request(item: &Item) -> Result<AccessRequest, GrantsUnavailable> {
    item::read(item).ok_or_else(malformed)
}

/// The result of a write. If the answer to a first attempt was lost, the condition of the second one
/// fails on the very item that the first one wrote.
fn written<T>(
    answer: Result<T, SdkError<UpdateItemError>>,
    is_it: impl FnOnce(&Item) -> bool,
) -> Result<Written, GrantsUnavailable> {
    match answer {
        Ok(_) => Ok(Written::Done),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let is_there = failed.item().is_some_and(is_it);
                Ok(if is_there { Written::Done } else { Written::ConditionFailed })
            }
            _ => Err(failed(&error)),
        },
    }
}

fn malformed() -> GrantsUnavailable {
    GrantsUnavailable::OutOfReach(MALFORMED.to_owned())
}

fn failed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> GrantsUnavailable {
    CallError::of(error).collapse(GrantsUnavailable::Refused, GrantsUnavailable::OutOfReach)
}
