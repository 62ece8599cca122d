//! A bundle, as the function loads it, and its policies as Cedar's JSON.

use crate::json;
use cedar_policy::{PolicySet, ResourceConstraint};
use policy::{Action, Expectations};
use sentinel_tvm::{BundleError, BundleFiles, Policy};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The longest session of a profile or a permit that does not limit it, in seconds.
pub(crate) const LONGEST: i64 = 3_600;

/// A loaded bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) policy: Policy,
    pub(crate) expectations: Expectations,
    /// The tables of the catalogue.
    pub(crate) catalogue: toml::Table,
}

/// A policy, and the longest session that it allows if it is a permit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) json: Value,
    pub(crate) longest: i64,
}

impl Bundle {
    pub(crate) fn load(directory: &Path) -> Result<Self, String> {
        let placed = |BundleError(problems): BundleError| {
            let lines: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}/{problem}", directory.display()))
                .collect();
            lines.join("\n")
        };
        let tests = fs::read_to_string(directory.join("tests.toml")).unwrap_or_default();
        let expectations = Expectations::parse(&tests)?;
        let files = BundleFiles::from_directory(directory).map_err(placed)?;
        let policy = Policy::load(&files, &expectations.options()).map_err(placed)?;
        let tables = files.catalogue().filter_map(|(_, text)| text.parse::<toml::Table>().ok());
        Ok(Self { policy, expectations, catalogue: tables.flatten().collect() })
    }

    fn profile(&self, name: &str) -> Option<&toml::Table> {
        self.catalogue.get(name)?.as_table()
    }

    pub(crate) fn has(&self, profile: &str) -> bool {
        self.catalogue.contains_key(profile)
    }

    /// The groups of a profile.
    pub(crate) fn groups(&self, profile: &str) -> Vec<String> {
        let groups = self.profile(profile).and_then(|profile| profile.get("groups"));
        let names = groups.and_then(toml::Value::as_array).into_iter().flatten();
        names.filter_map(toml::Value::as_str).map(str::to_owned).collect()
    }

    /// The longest session of a profile, in seconds.
    pub(crate) fn longest(&self, profile: &str) -> i64 {
        let limit = self.profile(profile).and_then(|profile| profile.get("max_duration"));
        limit.and_then(toml::Value::as_integer).unwrap_or(LONGEST).min(LONGEST)
    }

    /// The names of the scopes of a profile.
    pub(crate) fn scopes(&self, profile: &str) -> Vec<String> {
        let scopes = self.profile(profile).and_then(|profile| profile.get("scopes"));
        let names = scopes.and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        names.cloned().collect()
    }

    /// The partition of the role of a profile, as `aws`.
    pub(crate) fn partition(&self, profile: &str) -> Option<String> {
        let arn = self.profile(profile)?.get("role_arn")?.as_str()?;
        arn.split(':').nth(1).map(str::to_owned)
    }

    /// The policies that can apply to an action on a profile.
    pub(crate) fn rules(&self, action: Action, profile: &str) -> Result<Vec<Rule>, String> {
        let all: &PolicySet = match action {
            Action::Vend => self.policy.vending_rules(),
            Action::Approve => self.policy.approving_rules(),
        };
        let groups = self.groups(profile);
        let applies = |policy: &&cedar_policy::Policy| match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            ResourceConstraint::In(uid)
            | ResourceConstraint::Eq(uid)
            | ResourceConstraint::IsIn(_, uid) => {
                let id = uid.id().unescaped();
                match uid.type_name().basename() {
                    "ProfileGroup" => groups.iter().any(|group| group == id),
                    _ => profile == id,
                }
            }
        };
        let mut rules: Vec<Rule> =
            all.policies().filter(applies).map(Rule::of).collect::<Result<_, _>>()?;
        rules.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(rules)
    }
}

impl Rule {
    fn of(policy: &cedar_policy::Policy) -> Result<Self, String> {
        let json = policy.to_json().map_err(|error| format!("{}: {error}", policy.id()))?;
        let longest = policy.annotation("max_duration").and_then(|text| text.parse().ok());
        Ok(Self { id: policy.id().to_string(), json, longest: longest.unwrap_or(LONGEST) })
    }

    pub(crate) fn is_permit(&self) -> bool {
        self.json.get("effect").and_then(Value::as_str) == Some("permit")
    }

    /// Whether both decide the same, by their text.
    pub(crate) fn decides_like(&self, other: &Self) -> bool {
        self.longest == other.longest
            && json::without_annotations(&self.json) == json::without_annotations(&other.json)
    }
}
