//! A client with the methods of the SDK's that the function calls.

use super::expression::Item;
use super::{Update, key};
use crate::network::{Fault, Network};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use std::collections::HashMap;

/// The client. It reads how often to try from the settings that the function makes for the SDK's.
#[derive(Debug, Clone)]
pub struct Client {
    attempts: u32,
}

impl Client {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self { attempts: config.retry_config().map_or(1, RetryConfig::max_attempts) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "as the SDK's")]
    pub(crate) fn from_conf(config: aws_sdk_dynamodb::Config) -> Self {
        Self { attempts: config.retry_config().map_or(1, RetryConfig::max_attempts) }
    }

    pub(crate) fn update_item(&self) -> UpdateItemFluentBuilder {
        UpdateItemFluentBuilder {
            attempts: self.attempts,
            input: UpdateItemInputBuilder::default(),
        }
    }

    pub(crate) fn get_item(&self) -> GetItemFluentBuilder {
        GetItemFluentBuilder { attempts: self.attempts, input: GetItemInputBuilder::default() }
    }

    pub(crate) fn query(&self) -> QueryFluentBuilder {
        QueryFluentBuilder { attempts: self.attempts, input: QueryInputBuilder::default() }
    }
}

/// Methods that only hand a value to the SDK's builder of the input.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        $(pub(crate) fn $name(mut self, $($argument: $type),*) -> Self {
            self.input = self.input.$name($($argument),*);
            self
        })*
    };
}

/// An `UpdateItem`.
#[derive(Debug)]
pub struct UpdateItemFluentBuilder {
    attempts: u32,
    input: UpdateItemInputBuilder,
}

impl UpdateItemFluentBuilder {
    forward! {
        table_name(name: impl Into<String>);
        key(name: impl Into<String>, value: AttributeValue);
        update_expression(text: impl Into<String>);
        condition_expression(text: impl Into<String>);
        expression_attribute_names(placeholder: impl Into<String>, name: impl Into<String>);
        expression_attribute_values(placeholder: impl Into<String>, value: AttributeValue);
        set_expression_attribute_values(values: Option<HashMap<String, AttributeValue>>);
        return_values(values: ReturnValue);
        return_values_on_condition_check_failure(values: ReturnValuesOnConditionCheckFailure);
    }

    pub(crate) async fn send(self) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
        let input = self.input.build().map_err(SdkError::construction_failure)?;
        let returns_item = input.return_values_on_condition_check_failure.is_some();
        let returns_new = input.return_values == Some(ReturnValue::UpdatedNew);
        let act = move |database: &super::Database| database.update(&input);
        match Network::current().call(self.attempts, act).await {
            Ok(Update::Done(new)) => {
                Ok(UpdateItemOutput::builder().set_attributes(returns_new.then_some(new)).build())
            }
            Ok(Update::Failed(item)) => {
                let failed = ConditionalCheckFailedException::builder()
                    .set_item(item.filter(|_| returns_item))
                    .build();
                let failed = UpdateItemError::ConditionalCheckFailedException(failed);
                Err(SdkError::service_error(failed, response(400)))
            }
            Err(fault) => Err(error(fault, UpdateItemError::generic)),
        }
    }
}

/// A `GetItem`.
#[derive(Debug)]
pub(crate) struct GetItemFluentBuilder {
    attempts: u32,
    input: GetItemInputBuilder,
}

impl GetItemFluentBuilder {
    forward! {
        table_name(name: impl Into<String>);
        consistent_read(is_consistent: bool);
        key(name: impl Into<String>, value: AttributeValue);
    }

    pub(crate) async fn send(self) -> Result<GetItemOutput, SdkError<GetItemError>> {
        let input = self.input.build().map_err(SdkError::construction_failure)?;
        assert_eq!(input.consistent_read(), Some(true), "another read may return an old item");
        let act = move |database: &super::Database| {
            database.get(input.table_name().unwrap_or_default(), &key(input.key()))
        };
        let item = Network::current().call(self.attempts, act).await;
        match item {
            Ok(item) => Ok(GetItemOutput::builder().set_item(item).build()),
            Err(fault) => Err(error(fault, GetItemError::generic)),
        }
    }
}

/// A `Query` of the index by time.
#[derive(Debug)]
pub(crate) struct QueryFluentBuilder {
    attempts: u32,
    input: QueryInputBuilder,
}

impl QueryFluentBuilder {
    forward! {
        table_name(name: impl Into<String>);
        index_name(name: impl Into<String>);
        key_condition_expression(text: impl Into<String>);
        expression_attribute_names(placeholder: impl Into<String>, name: impl Into<String>);
        expression_attribute_values(placeholder: impl Into<String>, value: AttributeValue);
        scan_index_forward(is_forward: bool);
    }

    pub(crate) async fn send(self) -> Result<QueryOutput, SdkError<QueryError>> {
        let input = self.input.build().map_err(SdkError::construction_failure)?;
        let act = move |database: &super::Database| {
            let kind = input.expression_attribute_values().and_then(|values| values.get(":Kind"));
            let mut items = database.all(input.table_name().unwrap_or_default());
            items.retain(|item| item.get("Kind") == kind);
            items.sort_by_key(|item| std::cmp::Reverse(created(item)));
            items
        };
        match Network::current().call(self.attempts, act).await {
            Ok(items) => Ok(QueryOutput::builder().set_items(Some(items)).build()),
            Err(fault) => Err(error(fault, QueryError::generic)),
        }
    }
}

fn created(item: &Item) -> Option<u64> {
    item.get("CreatedAt")?.as_n().ok()?.parse().ok()
}

fn error<E>(fault: Fault, generic: impl FnOnce(ErrorMetadata) -> E) -> SdkError<E> {
    let service = |code: &str, status| {
        let metadata = ErrorMetadata::builder().code(code).build();
        SdkError::service_error(generic(metadata), response(status))
    };
    match fault {
        Fault::NoConnection => {
            SdkError::dispatch_failure(ConnectorError::io("no connection".into()))
        }
        Fault::TimeOut => SdkError::timeout_error("time-out"),
        Fault::Throttled => service("ThrottlingException", 400),
        Fault::Failed => service("InternalServerError", 500),
        Fault::Refused => service("AccessDeniedException", 400),
    }
}

fn response(status: u16) -> HttpResponse {
    let status = status.try_into().unwrap_or_else(|_| panic!("no status: {status}"));
    HttpResponse::new(status, SdkBody::empty())
}
