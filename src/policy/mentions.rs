//! Which profiles' policies read what only the grants table knows, so that no other request asks it.

use super::catalogue::{Catalogue, Profile};
use super::temporal::reads_context;
use crate::request::ProfileName;
use cedar_policy::{Policy, PolicySet, ResourceConstraint};
use std::collections::BTreeSet;

/// The profiles for which a policy, enforced or in shadow mode, reads an attribute.
#[derive(Debug)]
pub(super) struct Mentions {
    /// `context.approval`.
    pub(super) approval: BTreeSet<ProfileName>,
    /// `context.emergency`.
    pub(super) emergency: BTreeSet<ProfileName>,
}

impl Mentions {
    pub(super) fn of(policies: &PolicySet, catalogue: &Catalogue) -> Self {
        let profiles = |attribute: &str| {
            let reading: Vec<&Policy> =
                policies.policies().filter(|policy| reads(policy, attribute)).collect();
            let read = catalogue
                .values()
                .filter(|profile| reading.iter().any(|policy| can_apply(policy, profile)));
            read.map(|profile| profile.name.clone()).collect()
        };
        Self { approval: profiles("approval"), emergency: profiles("emergency") }
    }
}

/// A policy that cannot be looked into counts as reading everything.
fn reads(policy: &Policy, attribute: &str) -> bool {
    let text = policy.to_cedar().unwrap_or_default();
    !cannot_read(&text, attribute)
        && policy.to_json().map_or(true, |json| reads_context(&json, &[attribute]))
}

/// Whether the text alone shows that a policy does not read the attribute: the word does not occur,
/// not even with escapes, and `context` is only used to read attributes by name. Parsing each policy
/// into JSON would take a quarter of a start.
fn cannot_read(text: &str, attribute: &str) -> bool {
    let count = |part: &str| text.matches(part).count();
    let by_name = count("context.") + count("context has ");
    !text.is_empty()
        && !text.contains(attribute)
        && !text.contains('\\')
        && count("context") == by_name
}

fn can_apply(policy: &Policy, profile: &Profile) -> bool {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
        ResourceConstraint::In(uid)
        | ResourceConstraint::Eq(uid)
        | ResourceConstraint::IsIn(_, uid) => {
            let id: &str = uid.id().unescaped();
            match uid.type_name().basename() {
                "ProfileGroup" => profile.groups.iter().any(|group| group == id),
                _ => profile.name.as_str() == id,
            }
        }
    }
}
