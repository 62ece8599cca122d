//! Reading variables and collecting their problems.

use crate::alphabet::{is_digits, is_word};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The environment, the names read so far, and the problems so far.
#[derive(Debug)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    read: BTreeSet<String>,
    problems: Vec<String>,
}

impl Variables {
    pub(super) fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: values.into_iter().collect(), read: BTreeSet::new(), problems: Vec::new() }
    }

    /// The value, if the variable is set. An empty one is a problem.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.read.insert(name.to_owned());
        let value = self.values.get(name)?.trim().to_owned();
        if value.is_empty() {
            self.problem(name, "is empty: give it a value or remove it");
            return None;
        }
        Some(value)
    }

    /// The value as a whole number in `range`; `default` if the variable is not set.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.parse() {
            Ok(number) if is_digits(&text) && range.contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    &format!("is not a whole number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// The value as the name or ARN of a DynamoDB table. Source: the DynamoDB API reference on
    /// `TableName`.
    pub(super) fn table(&mut self, name: &str) -> Option<String> {
        let table = self.text(name)?;
        let bare = match table.strip_prefix("arn:") {
            Some(arn) => arn.rsplit_once(":table/").map_or("", |(_, bare)| bare),
            None => &table,
        };
        if !is_word(bare, 3..=255, b"_.-") {
            self.problem(name, "is not a table's name (3 to 255 of A-Z a-z 0-9 _ . -) or ARN");
        }
        Some(table)
    }

    /// The value as `true` or `false`; `false` if the variable is not set.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.problem(name, "is neither true nor false");
                true
            }
        }
    }

    /// Records a problem that follows from other variables, unless the variable's own value is a
    /// problem already.
    pub(super) fn conflict(&mut self, name: &str, problem: &str) {
        let recorded =
            |known: &String| known.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
        if !self.problems.iter().any(recorded) {
            self.problem(name, problem);
        }
    }

    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// All problems, unknown variables included.
    pub(super) fn into_problems(mut self) -> Vec<String> {
        let ours = |name: &&String| name.starts_with("SENTINEL_") || *name == "MDM_SECRET_ARN";
        let unknown: Vec<String> = self
            .values
            .keys()
            .filter(ours)
            .filter(|name| !self.read.contains(*name))
            .cloned()
            .collect();
        for name in unknown {
            self.problem(&name, "is not a setting of this version; see docs/configuration.md");
        }
        self.problems
    }
}
