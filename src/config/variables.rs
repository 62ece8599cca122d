//! Reading variables and collecting what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The environment, which of it was asked for, and the problems so far.
#[derive(Debug)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    problems: Vec<String>,
}

impl Variables {
    pub(super) fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: values.into_iter().collect(), asked: BTreeSet::new(), problems: Vec::new() }
    }

    /// The value, if the variable is set. An empty one is a problem.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.asked.insert(name.to_owned());
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
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    &format!("is not a whole number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// The value as `true` or `false`, which it is if the variable is not set.
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

    /// Notes a problem that follows from other variables, unless there is one with the variable's own value already.
    pub(super) fn conflict(&mut self, name: &str, problem: &str) {
        let told =
            |known: &String| known.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
        if !self.problems.iter().any(told) {
            self.problem(name, problem);
        }
    }

    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("{name} {problem}"));
    }

    /// All problems, those of variables nobody asked for included.
    pub(super) fn into_problems(mut self) -> Vec<String> {
        let ours = |name: &&String| name.starts_with("SENTINEL_") || *name == "MDM_SECRET_ARN";
        let unknown: Vec<String> = self
            .values
            .keys()
            .filter(ours)
            .filter(|name| !self.asked.contains(*name))
            .cloned()
            .collect();
        for name in unknown {
            self.problem(&name, "is not a setting of this version; see docs/configuration.md");
        }
        self.problems
    }
}
