//! The shared table in DynamoDB: `UpdateItem` with a condition, and no other operation.
//!
//! An item is `PK` (S, the key), `TAT` (N, microseconds since the Unix epoch) and `TTL` (N,
//! seconds; the table's TTL attribute); with a limit for the day also `DayTAT`, like `TAT`. An operator may add `Blocked` (N, microseconds since the
//! Unix epoch): the principal is refused until then. A `Blocked` of another type, or one that is no
//! such number, blocks until somebody removes it. DynamoDB's documented error codes classify its failures;
//! its messages are dropped. Source: the DynamoDB API reference on `UpdateItem`, as in the
//! aws-sdk-dynamodb model.

use super::table::{Charge, Charged, Form, StoreError, Table};
use super::windows::Windows;
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

/// The attribute of each window.
const TATS: Windows<&str> = Windows { short: "TAT", day: Some("DayTAT") };

/// Both conditions end with the same demand: no block, or one that has ended. A comparison with an
/// attribute of another type is false.
const AHEAD: &str =
    "TAT > :now AND TAT <= :latest AND (attribute_not_exists(Blocked) OR Blocked <= :now)";
const IDLE: &str = "(attribute_not_exists(TAT) OR TAT <= :now) AND (attribute_not_exists(Blocked) OR Blocked <= :now)";

/// What a limit for the day adds to them.
const DAY_AHEAD: &str = "DayTAT > :now AND DayTAT <= :day_latest";
const DAY_IDLE: &str = "(attribute_not_exists(DayTAT) OR DayTAT <= :now)";

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
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("PK", AttributeValue::S(key.to_owned()))
            .update_expression(update_expression(charge))
            .condition_expression(condition_expression(charge))
            .expression_attribute_names("#ttl", "TTL") // a reserved word of DynamoDB's
            .set_expression_attribute_values(Some(values(charge)))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Boxed: the SDK's future is large, and deep enough to trouble the compiler.
        match Box::pin(update.send()).await {
            Ok(output) => changed(output.attributes.as_ref(), charge).map(Charged::Done),
            Err(error) => not_charged(&error, charge),
        }
    }
}

fn update_expression(charge: &Charge) -> &'static str {
    match (charge.steps.short.form, charge.steps.day.map(|day| day.form)) {
        (Form::Ahead, None) => "ADD TAT :step SET #ttl = :ttl",
        (Form::Idle, None) => "SET TAT = :tat, #ttl = :ttl",
        (Form::Ahead, Some(Form::Ahead)) => "ADD TAT :step, DayTAT :day_step SET #ttl = :ttl",
        (Form::Ahead, Some(Form::Idle)) => "ADD TAT :step SET DayTAT = :day_tat, #ttl = :ttl",
        (Form::Idle, Some(Form::Ahead)) => "ADD DayTAT :day_step SET TAT = :tat, #ttl = :ttl",
        (Form::Idle, Some(Form::Idle)) => "SET TAT = :tat, DayTAT = :day_tat, #ttl = :ttl",
    }
}

fn condition_expression(charge: &Charge) -> String {
    let short = match charge.steps.short.form {
        Form::Ahead => AHEAD,
        Form::Idle => IDLE,
    };
    match charge.steps.day.map(|day| day.form) {
        None => short.to_owned(),
        Some(Form::Ahead) => format!("{short} AND {DAY_AHEAD}"),
        Some(Form::Idle) => format!("{short} AND {DAY_IDLE}"),
    }
}

/// The values that both expressions name, and no other: DynamoDB rejects a request with one more.
fn values(charge: &Charge) -> HashMap<String, AttributeValue> {
    let number = |value: u64| AttributeValue::N(value.to_string());
    let mut values = HashMap::from([
        (":now".to_owned(), number(charge.now)),
        (":ttl".to_owned(), number(charge.expires)),
    ]);
    let names = Windows {
        short: (":step", ":latest", ":tat"),
        day: Some((":day_step", ":day_latest", ":day_tat")),
    };
    for ((growth, latest, tat), step) in names.zip(charge.steps).iter() {
        match step.form {
            Form::Ahead => {
                values.insert(growth.to_owned(), number(step.growth));
                values.insert(latest.to_owned(), number(step.latest));
            }
            Form::Idle => {
                values.insert(tat.to_owned(), number(charge.now + step.growth));
            }
        }
    }
    values
}

/// A failed condition is an answer, with the item if there is one. Every other error is a failure.
fn not_charged(error: &SdkError<UpdateItemError>, charge: &Charge) -> Result<Charged, StoreError> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            match failed.item().and_then(|item| item.get("Blocked")).map(end_of_block) {
                Some(until) if until > charge.now => Ok(Charged::Blocked(until)),
                _ => held(failed.item(), charge).map(Charged::ConditionFailed),
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

/// The TATs after a write, which has changed them all.
fn changed(
    item: Option<&HashMap<String, AttributeValue>>,
    charge: &Charge,
) -> Result<Windows<u64>, StoreError> {
    tats(charge, |name| tat(item?.get(name)?))
}

/// The TATs of an item that a write did not change; 0 for one that it does not have.
fn held(
    item: Option<&HashMap<String, AttributeValue>>,
    charge: &Charge,
) -> Result<Windows<u64>, StoreError> {
    tats(charge, |name| item.and_then(|item| item.get(name)).map_or(Some(0), tat))
}

/// Reads the TAT of each window that the charge has.
fn tats(
    charge: &Charge,
    read: impl Fn(&'static str) -> Option<u64>,
) -> Result<Windows<u64>, StoreError> {
    let tat = |name| read(name).ok_or_else(|| StoreError::Unreachable(MALFORMED.to_owned()));
    let Windows { short, day } = TATS.zip(charge.steps).map(|(name, _)| name);
    Ok(Windows { short: tat(short)?, day: day.map(tat).transpose()? })
}

fn tat(value: &AttributeValue) -> Option<u64> {
    value.as_n().ok()?.parse().ok()
}

fn store_error(error: &SdkError<UpdateItemError>) -> StoreError {
    match CallError::of(error) {
        CallError::Throttled(code) => StoreError::Throttled(code),
        CallError::Refused(code) => StoreError::Misconfigured(code),
        CallError::Failed(code) => StoreError::Unreachable(code),
        CallError::NoAnswer(cause) => StoreError::Unreachable(cause.to_owned()),
    }
}
