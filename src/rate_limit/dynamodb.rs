//! The shared table in DynamoDB: `UpdateItem` with a condition, and no other operation.
//!
//! An item is `PK` (S, the key), `TAT` (N, microseconds since the Unix epoch) and `TTL` (N,
//! seconds; the table's TTL attribute). An operator may add `Blocked` (N, microseconds since the
//! Unix epoch): the principal is refused until then. A `Blocked` of another type, or one that is no
//! such number, blocks until somebody removes it. DynamoDB's documented error codes classify its failures;
//! its messages are dropped. Source: the DynamoDB API reference on `UpdateItem`, as in the
//! aws-sdk-dynamodb model.

use super::table::{Charge, Charged, Form, StoreError, Table};
use crate::upstream::{ATTEMPTS, CallError, MALFORMED};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::collections::HashMap;
use std::time::Duration;

const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// Both conditions end with the same demand: no block, or one that has ended. A comparison with an
/// attribute of another type is false.
const AHEAD: &str =
    "TAT > :now AND TAT <= :latest AND (attribute_not_exists(Blocked) OR Blocked <= :now)";
const IDLE: &str = "(attribute_not_exists(TAT) OR TAT <= :now) AND (attribute_not_exists(Blocked) OR Blocked <= :now)";

/// The table that all instances share.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The table of this name, in the region, at the endpoint and with the credentials of `config`.
    /// One attempt takes at most half of `timeout`, so that there is time for a second one.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, name: &str, timeout: Duration) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(timeout / 2).build())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(FIRST_BACKOFF),
            )
            .build();
        Self { client: Client::from_conf(config), name: name.to_owned() }
    }
}

impl Table for DynamoTable {
    async fn charge(&self, key: &str, charge: &Charge) -> Result<Charged, StoreError> {
        let number = |value: u64| AttributeValue::N(value.to_string());
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("PK", AttributeValue::S(key.to_owned()))
            .expression_attribute_names("#ttl", "TTL") // a reserved word of DynamoDB's
            .expression_attribute_values(":now", number(charge.now))
            .expression_attribute_values(":ttl", number(charge.expires))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match charge.form {
            Form::Ahead => update
                .update_expression("ADD TAT :step SET #ttl = :ttl")
                .condition_expression(AHEAD)
                .expression_attribute_values(":step", number(charge.step))
                .expression_attribute_values(":latest", number(charge.latest)),
            Form::Idle => update
                .update_expression("SET TAT = :tat, #ttl = :ttl")
                .condition_expression(IDLE)
                .expression_attribute_values(":tat", number(charge.now + charge.step)),
        };
        // Boxed: the SDK's future is large, and deep enough to trouble the compiler.
        match Box::pin(update.send()).await {
            Ok(output) => tat(output.attributes.as_ref()).map(Charged::Done),
            Err(error) => not_charged(&error, charge.now),
        }
    }
}

/// A failed condition is an answer, with the item if there is one. Every other error is a failure.
fn not_charged(error: &SdkError<UpdateItemError>, now: u64) -> Result<Charged, StoreError> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            let Some(item) = failed.item() else { return Ok(Charged::ConditionFailed(0)) };
            match item.get("Blocked").map(end_of_block) {
                Some(until) if until > now => Ok(Charged::Blocked(until)),
                _ if !item.contains_key("TAT") => Ok(Charged::ConditionFailed(0)),
                _ => tat(Some(item)).map(Charged::ConditionFailed),
            }
        }
        _ => Err(store_error(error)),
    }
}

/// When a block ends. DynamoDB's numbers may have fractions and exponents; one that does not read as
/// whole microseconds has no end, like any other value.
fn end_of_block(value: &AttributeValue) -> u64 {
    value.as_n().ok().and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

fn tat(item: Option<&HashMap<String, AttributeValue>>) -> Result<u64, StoreError> {
    let number = item.and_then(|item| item.get("TAT")?.as_n().ok()?.parse().ok());
    number.ok_or_else(|| StoreError::Unreachable(MALFORMED.to_owned()))
}

fn store_error(error: &SdkError<UpdateItemError>) -> StoreError {
    match CallError::of(error) {
        CallError::Throttled(code) => StoreError::Throttled(code),
        CallError::Refused(code) => StoreError::Misconfigured(code),
        CallError::Failed(code) => StoreError::Unreachable(code),
        CallError::NoAnswer(cause) => StoreError::Unreachable(cause.to_owned()),
    }
}
