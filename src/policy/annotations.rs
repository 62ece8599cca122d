//! The annotations of policies: `@id`, `@reason`, `@mode("shadow")`, `@max_duration`.
//!
//! All others are refused: a misspelt annotation would silently mean nothing.

use crate::request::SessionDuration;
use cedar_policy::{Effect, Policy, PolicySet};

/// The problems of a policy's annotations, each with its key.
pub(super) fn problems(policy: &Policy) -> impl Iterator<Item = (&str, String)> {
    policy.annotations().filter_map(|(key, value)| Some((key, problem(policy, key, value)?)))
}

fn problem(policy: &Policy, key: &str, value: &str) -> Option<String> {
    let printable =
        !value.trim().is_empty() && value.len() <= 300 && !value.contains(char::is_control);
    match key {
        "id" | "reason" if !printable => {
            Some(format!("@{key} is not 1 to 300 printable characters"))
        }
        "mode" if value != "shadow" => {
            Some("@mode is not \"shadow\"; leave it out to enforce the policy".to_owned())
        }
        "max_duration" if policy.effect() == Effect::Forbid => {
            Some("@max_duration means nothing on a forbid".to_owned())
        }
        "max_duration" if max_duration(policy).is_none() => {
            Some("@max_duration is not a number of seconds from 900 to 3600, in quotes".to_owned())
        }
        "id" | "reason" | "mode" | "max_duration" => None,
        _ => Some(format!(
            "unknown annotation @{key}; known are @id, @reason, @mode and @max_duration"
        )),
    }
}

/// The enforced policies: all but those in shadow mode.
pub(super) fn enforced(policies: &PolicySet) -> PolicySet {
    let mut enforced = policies.clone();
    for policy in policies.policies().filter(|policy| is_shadow(policy)) {
        // It cannot fail: the policy comes from the same set.
        let _ = enforced.remove_static(policy.id().clone());
    }
    enforced
}

/// The value of an annotation. Cedar's own look-up would run its parser over the key.
pub(super) fn value<'a>(policy: &'a Policy, key: &str) -> Option<&'a str> {
    policy.annotations().find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Whether a policy is in shadow mode.
pub(super) fn is_shadow(policy: &Policy) -> bool {
    value(policy, "mode").is_some()
}

/// The longest session that a permit allows, if it limits it.
pub(super) fn max_duration(policy: &Policy) -> Option<SessionDuration> {
    let text = value(policy, "max_duration")?;
    SessionDuration::parse(text).ok().filter(|duration| *duration <= SessionDuration::CHAINED_MAX)
}
