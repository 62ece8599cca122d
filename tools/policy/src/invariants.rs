//! Invariants: what every grant of a bundle must satisfy. Here they are only checked for sense;
//! `tools/prove` proves them.

use sentinel_tvm::{
    BundleError, BundleFiles, BundleOptions, NamedSessionRoles, Policy, SessionDuration,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What every grant of some profiles must satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// A sentence.
    pub name: String,
    /// What is granted.
    #[serde(default)]
    pub action: Action,
    profiles: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    /// A Cedar expression that must be true of every request that is granted.
    pub requires: String,
}

/// What the policies decide about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Credentials.
    #[default]
    Vend,
    /// The right to approve somebody else's request.
    Approve,
}

impl Action {
    /// The id of the Cedar action.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vend => "vend",
            Self::Approve => "approve",
        }
    }
}

impl Invariant {
    /// Whether it is about this profile.
    #[must_use]
    pub fn concerns(&self, profile: &str, groups: &[String]) -> bool {
        let named = |list: &Option<Vec<String>>, is: &dyn Fn(&String) -> bool| {
            list.as_ref().is_some_and(|list| list.iter().any(is))
        };
        (self.profiles.is_none() && self.groups.is_none())
            || named(&self.profiles, &|name| name == profile)
            || named(&self.groups, &|name| groups.contains(name))
    }

    /// The policy that permits what the invariant requires, and nothing else.
    #[must_use]
    pub fn policy(&self) -> String {
        format!(
            "@id(\"invariant\")\npermit (principal, action == Sentinel::Action::\"{}\", resource) when {{\n{}\n}};",
            self.action.name(),
            self.requires
        )
    }

    /// Why it would prove nothing, or cannot be read: one line for each problem.
    #[must_use]
    pub fn problems(&self, files: &BundleFiles) -> Vec<String> {
        let placed = |problem: &str| format!("tests.toml: invariant {:?}: {problem}", self.name);
        let catalogue = groups(files);
        let known: BTreeSet<&String> = catalogue.values().flatten().collect();
        let mut problems: Vec<String> = Vec::new();
        for profile in self.profiles.iter().flatten() {
            if !catalogue.contains_key(profile) {
                problems.push(placed(&format!("there is no profile {profile:?}")));
            }
        }
        for group in self.groups.iter().flatten() {
            if !known.contains(group) {
                problems.push(placed(&format!("no profile is in the group {group:?}")));
            }
        }
        problems.extend(self.unreadable(files).iter().map(|problem| placed(problem)));
        problems
    }

    /// What the function would say of the invariant, if it were a policy.
    fn unreadable(&self, files: &BundleFiles) -> Vec<String> {
        let parameter = |(file, text): (&str, &str)| {
            (file.trim_end_matches(".toml").to_owned(), text.to_owned())
        };
        let policy = ("policies/invariant".to_owned(), self.policy());
        let options = BundleOptions {
            default_duration: SessionDuration::MIN,
            named_session_roles: NamedSessionRoles::default(),
        };
        let loaded = BundleFiles::from_parameters(files.catalogue().map(parameter).chain([policy]))
            .and_then(|files| Policy::load(&files, &options));
        match loaded {
            Err(BundleError(problems)) => problems,
            // One policy, and no reference to something that does not exist.
            Ok(loaded) if loaded.vending_rules().policies().count() != 1 => {
                vec!["requires is more than one expression".to_owned()]
            }
            Ok(loaded) => {
                let own = |warning: &&String| warning.starts_with("invariant.cedar");
                loaded.warnings().iter().filter(own).cloned().collect()
            }
        }
    }
}

/// The groups of each profile.
pub(crate) fn groups(files: &BundleFiles) -> BTreeMap<String, Vec<String>> {
    let tables = files.catalogue().filter_map(|(_, text)| text.parse::<toml::Table>().ok());
    let profiles = tables.flatten().map(|(name, profile)| {
        let groups = profile.get("groups").and_then(toml::Value::as_array);
        let named = groups.into_iter().flatten().filter_map(toml::Value::as_str);
        (name, named.map(str::to_owned).collect())
    });
    profiles.collect()
}
