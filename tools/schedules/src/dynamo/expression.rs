//! The part of DynamoDB's expressions that the function uses.
//!
//! Conditions: comparisons, `IN`, `attribute_exists`, `attribute_not_exists`, `AND`, `OR`, `NOT` and
//! parentheses. Updates: `SET` of values, `ADD` of numbers, `REMOVE`. Anything else panics: the
//! stand-in must not guess. Source: "Using expressions in DynamoDB" in the developer guide.

use aws_sdk_dynamodb::types::AttributeValue;
use std::cmp::Ordering;
use std::collections::HashMap;

/// An item: its attributes.
pub type Item = HashMap<String, AttributeValue>;

/// What the placeholders of an expression stand for.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    /// Of those that begin with `#`.
    pub names: Option<&'a HashMap<String, String>>,
    /// Of those that begin with `:`.
    pub values: Option<&'a HashMap<String, AttributeValue>>,
}

impl<'a> Placeholders<'a> {
    fn name(self, path: &'a str) -> &'a str {
        if !path.starts_with('#') {
            return path;
        }
        self.names.and_then(|names| names.get(path)).unwrap_or_else(|| panic!("no {path}"))
    }

    fn value(self, name: &str) -> &'a AttributeValue {
        self.values
            .and_then(|values| values.get(name))
            .unwrap_or_else(|| panic!("no value for {name}"))
    }
}

/// Whether `condition` holds for `item`; an item that is not there has no attributes.
#[must_use]
pub fn holds(condition: &str, item: &Item, placeholders: Placeholders<'_>) -> bool {
    let mut reader = Reader { tokens: tokens(condition), item, placeholders };
    let holds = reader.alternatives();
    assert!(reader.tokens.is_empty(), "not read to its end: {condition}");
    holds
}

/// Changes `item`. Returns the names of the attributes that it set.
pub fn update(expression: &str, item: &mut Item, placeholders: Placeholders<'_>) -> Vec<String> {
    let mut tokens = tokens(expression);
    let (mut section, mut set) = ("", Vec::new());
    while let Some(token) = tokens.pop() {
        if ["SET", "ADD", "REMOVE"].contains(&token) {
            section = token;
        } else if token != "," {
            let name = placeholders.name(token);
            match section {
                "SET" => {
                    assert_eq!(tokens.pop(), Some("="), "{expression}");
                    let value = placeholders.value(tokens.pop().unwrap_or_default());
                    item.insert(name.to_owned(), value.clone());
                }
                "ADD" => {
                    let value = placeholders.value(tokens.pop().unwrap_or_default());
                    let sum = item.get(name).map_or(0, whole) + whole(value);
                    item.insert(name.to_owned(), AttributeValue::N(sum.to_string()));
                }
                "REMOVE" => {
                    item.remove(name);
                    continue;
                }
                _ => panic!("no section: {expression}"),
            }
            set.push(name.to_owned());
        }
    }
    set
}

/// The tokens, last first.
fn tokens(expression: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || "_#:.".contains(character);
        let length = match first {
            '<' if rest.starts_with("<=") || rest.starts_with("<>") => 2,
            '>' if rest.starts_with(">=") => 2,
            '<' | '>' | '=' | '(' | ')' | ',' => 1,
            _ => rest.find(|character| !is_word(character)).unwrap_or(rest.len()),
        };
        assert!(length > 0, "cannot read {rest}");
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens.reverse();
    tokens
}

/// Evaluates a condition while it reads it. Every part is read, whatever it is worth.
struct Reader<'a> {
    tokens: Vec<&'a str>,
    item: &'a Item,
    placeholders: Placeholders<'a>,
}

impl<'a> Reader<'a> {
    fn alternatives(&mut self) -> bool {
        let mut holds = self.demands();
        while self.skip("OR") {
            holds |= self.demands();
        }
        holds
    }

    fn demands(&mut self) -> bool {
        let mut holds = self.demand();
        while self.skip("AND") {
            holds &= self.demand();
        }
        holds
    }

    fn demand(&mut self) -> bool {
        if self.skip("NOT") {
            return !self.demand();
        }
        if self.skip("(") {
            let holds = self.alternatives();
            self.expect(")");
            return holds;
        }
        match self.next() {
            "attribute_exists" => self.attribute().is_some(),
            "attribute_not_exists" => self.attribute().is_none(),
            operand => {
                let left = self.operand(operand);
                self.comparison(left)
            }
        }
    }

    fn comparison(&mut self, left: Option<&AttributeValue>) -> bool {
        let operator = self.next();
        if operator == "IN" {
            self.expect("(");
            let mut is_in = false;
            loop {
                let token = self.next();
                is_in |= left.is_some() && left == self.operand(token);
                if !self.skip(",") {
                    break;
                }
            }
            self.expect(")");
            return is_in;
        }
        let token = self.next();
        let (Some(left), Some(right)) = (left, self.operand(token)) else { return false };
        match operator {
            "=" => compare(left, right) == Some(Ordering::Equal),
            "<>" => compare(left, right) != Some(Ordering::Equal),
            "<" => compare(left, right).is_some_and(Ordering::is_lt),
            "<=" => compare(left, right).is_some_and(Ordering::is_le),
            ">" => compare(left, right).is_some_and(Ordering::is_gt),
            ">=" => compare(left, right).is_some_and(Ordering::is_ge),
            other => panic!("no operator: {other}"),
        }
    }

    /// The attribute in the parentheses of a function.
    fn attribute(&mut self) -> Option<&'a AttributeValue> {
        self.expect("(");
        let path = self.next();
        self.expect(")");
        self.item.get(self.placeholders.name(path))
    }

    fn operand(&self, token: &'a str) -> Option<&'a AttributeValue> {
        if token.starts_with(':') {
            Some(self.placeholders.value(token))
        } else {
            self.item.get(self.placeholders.name(token))
        }
    }

    fn next(&mut self) -> &'a str {
        self.tokens.pop().unwrap_or_else(|| panic!("the condition ends too early"))
    }

    fn skip(&mut self, token: &str) -> bool {
        let is_next = self.tokens.last() == Some(&token);
        if is_next {
            self.tokens.pop();
        }
        is_next
    }

    fn expect(&mut self, token: &str) {
        assert!(self.skip(token), "no `{token}` before {:?}", self.tokens.last());
    }
}

/// `None` for values of different types, which no comparison but `<>` accepts.
fn compare(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::N(_), AttributeValue::N(_)) => Some(whole(left).cmp(&whole(right))),
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn whole(value: &AttributeValue) -> i128 {
    let number = value.as_n().ok().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no whole number: {value:?}"))
}
