//! The limiter's writes, and blocks of every kind.

use super::stack;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schedules::function::rate_limit as built;
use schedules::network::Network;
use sentinel_tvm::{Charge, DynamoTable, Form, Step, Table, Windows};
use serde_json::json;
use shuttle::future::block_on;
use std::time::Duration;

const TABLE: &str = "limits";
const KEYS: [&str; 2] = ["RL#vend#a", "RL#vend#b"];
const TIMEOUT: Duration = Duration::from_secs(5);

/// One step of a sequence. Times are small: what counts is which is later.
#[derive(Debug, Clone)]
enum Op {
    Charge(usize, Charge),
    /// By an operator: a number, or anything else.
    Block(usize, bool, u64),
    Unblock(usize),
}

fn step() -> impl Strategy<Value = Step> {
    (any::<bool>(), 1_u64..4, 0_u64..12).prop_map(|(ahead, growth, latest)| Step {
        form: if ahead { Form::Ahead } else { Form::Idle },
        growth,
        latest,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let charge = (0_usize..2, 1_u64..10, step(), proptest::option::of(step()), 0_u64..100);
    prop_oneof![
        8 => charge.prop_map(|(key, now, short, day, expires)| {
            Op::Charge(key, Charge { now, steps: Windows { short, day }, expires })
        }),
        1 => (0_usize..2, any::<bool>(), 0_u64..10).prop_map(|(key, is_number, until)| {
            Op::Block(key, is_number, until)
        }),
        1 => (0_usize..2).prop_map(Op::Unblock),
    ]
}

#[test]
fn the_table_answers_as_the_emulator_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let sequences = proptest::collection::vec(op(), 1..60);
    let property = |ops: Vec<Op>| {
        let expected = runtime.block_on(emulated(&ops));
        prop_assert_eq!(stack::in_process(TABLE, move |network| here(network, &ops)), expected);
        Ok(())
    };
    runner.run(&sequences, property).unwrap();
}

type Result = (Vec<String>, std::collections::BTreeMap<String, serde_json::Value>);

async fn emulated(ops: &[Op]) -> Result {
    let (database, config) = stack::start(TABLE, false).await;
    let table = DynamoTable::new(&config, TABLE, TIMEOUT);
    let mut answers = Vec::new();
    let operate = |key: usize, expression: &str, values: Option<serde_json::Value>| {
        let mut request = json!({
            "TableName": TABLE, "Key": { "PK": { "S": KEYS[key] } }, "UpdateExpression": expression,
        });
        if let Some(values) = values {
            request["ExpressionAttributeValues"] = values;
        }
        database.update_item(serde_json::from_value(request).unwrap()).unwrap();
    };
    for op in ops {
        match op {
            Op::Charge(key, charge) => {
                answers.push(format!("{:?}", table.charge(KEYS[*key], charge).await));
            }
            Op::Block(key, is_number, until) => {
                let kind = if *is_number { "N" } else { "S" };
                let value = json!({ ":until": { kind: until.to_string() } });
                operate(*key, "SET Blocked = :until", Some(value));
            }
            Op::Unblock(key) => operate(*key, "REMOVE Blocked", None),
        }
    }
    (answers, stack::items(&database, TABLE))
}

fn here(network: &Network, ops: &[Op]) -> Vec<String> {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .build();
    let table = built::DynamoTable::new(&config, TABLE, TIMEOUT);
    let mut answers = Vec::new();
    let operate = |key: usize, expression: &str, value: Option<AttributeValue>| {
        let write = UpdateItemInputBuilder::default()
            .table_name(TABLE)
            .key("PK", AttributeValue::S(KEYS[key].to_owned()))
            .update_expression(expression);
        let write = match value {
            Some(value) => write.expression_attribute_values(":until", value),
            None => write,
        };
        assert!(network.database.write(write));
    };
    for op in ops {
        match op {
            Op::Charge(key, charge) => {
                let charge = same(charge);
                let answer = block_on(built::Table::charge(&table, KEYS[*key], &charge));
                answers.push(format!("{answer:?}"));
            }
            Op::Block(key, is_number, until) => {
                let until = until.to_string();
                let value =
                    if *is_number { AttributeValue::N(until) } else { AttributeValue::S(until) };
                operate(*key, "SET Blocked = :until", Some(value));
            }
            Op::Unblock(key) => operate(*key, "REMOVE Blocked", None),
        }
    }
    answers
}

/// The same charge, as the type of the code that is built again.
fn same(charge: &Charge) -> built::Charge {
    let step = |step: Step| built::Step {
        form: match step.form {
            Form::Ahead => built::Form::Ahead,
            Form::Idle => built::Form::Idle,
        },
        growth: step.growth,
        latest: step.latest,
    };
    let steps = built::Windows { short: step(charge.steps.short), day: charge.steps.day.map(step) };
    built::Charge { now: charge.now, steps, expires: charge.expires }
}
