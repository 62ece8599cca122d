//! Differences between two catalogues. They are read, not proved: what a role or a session policy permits
//! is up to IAM.

use crate::bundle::Bundle;
use std::collections::BTreeSet;

/// A key of a profile that differs.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) profile: String,
    pub(crate) key: String,
    pub(crate) old: Option<toml::Value>,
    pub(crate) new: Option<toml::Value>,
    pub(crate) effect: Effect,
}

/// What a difference does to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Sessions may do more, or something else.
    Widens,
    /// Sessions may do less.
    Narrows,
    /// Callers see it, or the proof has it.
    Neutral,
}

impl Effect {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Widens => "may grant more",
            Self::Narrows => "grants less",
            Self::Neutral => "grants the same",
        }
    }
}

/// The differences of the profiles in both. Whether a new profile grants anything is proved.
pub(crate) fn differences(old: &Bundle, new: &Bundle) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (profile, after) in &new.catalogue {
        let (Some(before), Some(after)) =
            (old.catalogue.get(profile).and_then(toml::Value::as_table), after.as_table())
        else {
            continue;
        };
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let (old_value, new_value) = (before.get(key), after.get(key));
            if old_value == new_value {
                continue;
            }
            let effect = match key.as_str() {
                "description" | "groups" => Effect::Neutral,
                "max_duration" => match new.longest(profile).cmp(&old.longest(profile)) {
                    std::cmp::Ordering::Greater => Effect::Widens,
                    std::cmp::Ordering::Equal => Effect::Neutral,
                    std::cmp::Ordering::Less => Effect::Narrows,
                },
                "bind_source_ip" => match new_value.and_then(toml::Value::as_bool) {
                    Some(true) => Effect::Narrows,
                    _ => Effect::Widens,
                },
                // A policy may read the name of a scope, so a new one can open a profile.
                "scopes" if new_value.is_none() => Effect::Narrows,
                // The first of them narrows the session. One more adds to what the others allow.
                "session_policy" | "policy_arns" if !is_narrowed(before) => Effect::Narrows,
                _ => Effect::Widens,
            };
            differences.push(Difference {
                profile: profile.clone(),
                key: key.clone(),
                old: old_value.cloned(),
                new: new_value.cloned(),
                effect,
            });
        }
    }
    differences
}

/// Whether the sessions of a profile may do less than its role.
fn is_narrowed(profile: &toml::Table) -> bool {
    let arns = profile.get("policy_arns").and_then(toml::Value::as_array);
    profile.contains_key("session_policy") || arns.is_some_and(|arns| !arns.is_empty())
}
