//! DynamoDB in this process: tables that evaluate the expressions that the function sends, and the
//! client that sends them.
//!
//! The client takes the place of the SDK's. It builds the SDK's own requests, answers and errors, and
//! retries as the SDK does. Invariant: a write is one step, whatever happens to its answer.

mod client;
pub mod expression;

pub use client::{Client, UpdateItemFluentBuilder};

use crate::network::lock;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use expression::{Item, Placeholders, holds, update};
use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A defect of the table, to show that the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// Text of a condition.
    pub text: &'static str,
    /// What the table evaluates in its place.
    pub instead: &'static str,
}

/// The items of all tables, by table and key.
#[derive(Debug, Default)]
pub struct Database {
    items: Mutex<HashMap<(String, String), Item>>,
    defect: Option<Defect>,
    writes: Option<Mutex<Vec<Write>>>,
    moments: AtomicU64,
}

/// A write that changed an item.
#[derive(Clone)]
pub struct Write {
    /// When, in the order of all that happens.
    pub at: u64,
    /// The item before, if there was one.
    pub old: Option<Item>,
    /// The item after.
    pub new: Item,
}

/// The same text in each run: the attributes are sorted.
impl fmt::Debug for Write {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} -> {}", self.at, text(self.old.as_ref()), text(Some(&self.new)))
    }
}

/// The attributes of an item and of its maps; their plain values are enough for people.
fn text(item: Option<&Item>) -> String {
    let Some(item) = item else { return "nothing".to_owned() };
    let plain = |value: &AttributeValue| match value {
        AttributeValue::N(text) | AttributeValue::S(text) => text.clone(),
        AttributeValue::M(map) => text(Some(map)),
        other => format!("{other:?}"),
    };
    let mut all: Vec<_> =
        item.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    all.sort();
    format!("{{{}}}", all.join(" "))
}

/// The result of a conditional write.
#[derive(Debug)]
pub(crate) enum Update {
    /// The condition held. The attributes that were set.
    Done(Item),
    /// The condition did not hold. The item, if there is one.
    Failed(Option<Item>),
}

impl Database {
    /// Tables without items.
    #[must_use]
    pub fn new(defect: Option<Defect>) -> Self {
        Self { defect, ..Self::default() }
    }

    /// The same, and keeps every write.
    #[must_use]
    pub fn recording(defect: Option<Defect>) -> Self {
        Self { writes: Some(Mutex::default()), ..Self::new(defect) }
    }

    /// The writes so far, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<Write> {
        self.writes.as_ref().map(|writes| lock(writes).clone()).unwrap_or_default()
    }

    /// A number greater than all before: the order of what happens.
    pub fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Relaxed)
    }

    /// The item with this key.
    #[must_use]
    pub fn get(&self, table: &str, key: &str) -> Option<Item> {
        lock(&self.items).get(&(table.to_owned(), key.to_owned())).cloned()
    }

    /// All items of a table.
    #[must_use]
    pub fn all(&self, table: &str) -> Vec<Item> {
        let items = lock(&self.items);
        items.iter().filter(|((of, _), _)| of == table).map(|(_, item)| item.clone()).collect()
    }

    /// Deletes the items that have expired at `now`, in seconds since the Unix epoch. Returns their
    /// number.
    pub fn sweep(&self, now: u64) -> usize {
        let mut items = lock(&self.items);
        let before = items.len();
        items.retain(|_, item| {
            let expires = item.get("TTL").and_then(|ttl| ttl.as_n().ok()?.parse::<u64>().ok());
            expires.is_none_or(|expires| expires > now)
        });
        before - items.len()
    }

    /// One write.
    pub(crate) fn update(&self, input: &UpdateItemInput) -> Update {
        let placeholders = Placeholders {
            names: input.expression_attribute_names(),
            values: input.expression_attribute_values(),
        };
        let place = (input.table_name().unwrap_or_default().to_owned(), key(input.key()));
        let mut items = lock(&self.items);
        let mut item = items.get(&place).cloned().unwrap_or_default();
        let condition = input.condition_expression().map(|condition| self.evaluated(condition));
        if condition.is_some_and(|condition| !holds(&condition, &item, placeholders)) {
            return Update::Failed(items.get(&place).cloned());
        }
        let set = update(input.update_expression().unwrap_or_default(), &mut item, placeholders);
        let new = set.into_iter().filter_map(|name| item.get_key_value(&name));
        let new = new.map(|(name, value)| (name.clone(), value.clone())).collect();
        item.insert("PK".to_owned(), AttributeValue::S(place.1.clone()));
        let at = self.moment();
        if let Some(writes) = &self.writes {
            let old = items.get(&place).cloned();
            lock(writes).push(Write { at, old, new: item.clone() });
        }
        items.insert(place, item);
        Update::Done(new)
    }

    /// A write from outside the function. Returns whether its condition held.
    pub fn write(&self, input: UpdateItemInputBuilder) -> bool {
        let input = input.build().unwrap_or_else(|error| panic!("{error}"));
        matches!(self.update(&input), Update::Done(_))
    }

    fn evaluated(&self, condition: &str) -> String {
        match self.defect {
            Some(Defect { text, instead }) => condition.replace(text, instead),
            None => condition.to_owned(),
        }
    }
}

/// The partition key, which is the whole key.
pub(crate) fn key(key: Option<&Item>) -> String {
    let key = key.and_then(|key| key.get("PK")).and_then(|key| key.as_s().ok());
    key.unwrap_or_else(|| panic!("a request without a key")).clone()
}
