//! The shared table in DynamoDB: `UpdateItem` with a condition, and no other operation.
//!
//! An item is `PK` (S, the key), `TAT` (N, microseconds since the Unix epoch) and `TTL` (N,
//! seconds; the table's TTL attribute); with a limit for the day also `DayTAT`, like `TAT`. An operator may add `Blocked` (N, microseconds since the
//! Unix epoch): the principal is refused until then. A `Blocked` of another type, or one that is no
//! such number, blocks until somebody removes it. DynamoDB's documented error codes classify its failures;
//! its messages are dropped. Source: the DynamoDB API reference on `UpdateItem`, as in the
//! aws-sdk-dynamodb model.

use super::table::{Charge, Charged, Form, Step, StoreError, Table};
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

/// How each window is written: the attribute, and the names of its values.
#[derive(Clone, Copy)]
struct Window {
    tat: &'static str,
    growth: &'static str,
    latest: &'static str,
    next: &'static str,
}

const WINDOWS: Windows<Window> = Windows {
    short: Window { tat: "TAT", growth: ":step", latest: ":latest", next: ":tat" },
    day: Some(Window {
        tat: "DayTAT",
        growth: ":day_step",
        latest: ":day_latest",
        next: ":day_tat",
    }),
};

/// Every condition ends with the same demand: no block, or one that has ended. A comparison with an
/// attribute of another type is false.
const NOT_BLOCKED: &str = "(attribute_not_exists(Blocked) OR Blocked <= :now)";

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
        let Expressions { update, condition, values } = Expressions::of(charge);
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("PK", AttributeValue::S(key.to_owned()))
            .update_expression(update)
            .condition_expression(condition)
            .expression_attribute_names("#ttl", "TTL") // a reserved word of DynamoDB's
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // Boxed: the SDK's future is large, and deep enough to trouble the compiler.
        match Box::pin(update.send()).await {
            Ok(output) => changed(output.attributes.as_ref(), charge).map(Charged::Done),
            Err(error) => not_charged(&error, charge),
        }
    }
}

/// A charge in DynamoDB's language.
struct Expressions {
    update: String,
    condition: String,
    values: HashMap<String, AttributeValue>,
}

impl Expressions {
    fn of(charge: &Charge) -> Self {
        let number = |value: u64| AttributeValue::N(value.to_string());
        let mut values = HashMap::from([
            (":now".to_owned(), number(charge.now)),
            (":ttl".to_owned(), number(charge.expires)),
        ]);
        let (mut add, mut set, mut condition) = (String::new(), String::new(), String::new());
        for (window, Step { form, growth, latest }) in WINDOWS.zip(charge.steps).iter() {
            let tat = window.tat;
            match form {
                Form::Ahead => {
                    let separator = if add.is_empty() { "ADD " } else { ", " };
                    add += &format!("{separator}{tat} {}", window.growth);
                    condition += &format!("{tat} > :now AND {tat} <= {} AND ", window.latest);
                    values.insert(window.growth.to_owned(), number(growth));
                    values.insert(window.latest.to_owned(), number(latest));
                }
                Form::Idle => {
                    set += &format!("{tat} = {}, ", window.next);
                    condition += &format!("(attribute_not_exists({tat}) OR {tat} <= :now) AND ");
                    values.insert(window.next.to_owned(), number(charge.now + growth));
                }
            }
        }
        let space = if add.is_empty() { "" } else { " " };
        Self {
            update: format!("{add}{space}SET {set}#ttl = :ttl"),
            condition: condition + NOT_BLOCKED,
            values,
        }
    }
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
    let tat = |window: Window| {
        read(window.tat).ok_or_else(|| StoreError::Unreachable(MALFORMED.to_owned()))
    };
    let Windows { short, day } = WINDOWS.zip(charge.steps).map(|(window, _)| window);
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
