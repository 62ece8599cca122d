//! Which profiles' policies read what only the grants table knows, so that no other request asks it.

use super::catalogue::{Catalogue, Profile};
use super::temporal::reads_context;
use crate::request::ProfileName;
use cedar_policy::{Policy, PolicySet, ResourceConstraint};
use std::collections::BTreeSet;

/// The profiles for which a policy, enforced or in shadow mode, reads an attribute.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// `context.approval`.
    pub(super) approval: BTreeSet<ProfileName>,
    /// `context.emergency`.
    pub(super) emergency: BTreeSet<ProfileName>,
}

impl Mentions {
    pub(super) fn of(policies: &PolicySet, catalogue: &Catalogue) -> Self {
        let mut mentions = Self::default();
        for policy in policies.policies() {
            let [approval, emergency] = reads(policy, ["approval", "emergency"]);
            for profile in catalogue.values().filter(|profile| can_apply(policy, profile)) {
                for (reads, mentioned) in
                    [(approval, &mut mentions.approval), (emergency, &mut mentions.emergency)]
                {
                    if reads {
                        mentioned.insert(profile.name.clone());
                    }
                }
            }
        }
        mentions
    }
}

/// Which of these attributes of `context` a policy reads. A policy that cannot be looked into counts as
/// reading everything.
pub(super) fn reads<const N: usize>(policy: &Policy, attributes: [&str; N]) -> [bool; N] {
    let text = policy.to_cedar().unwrap_or_default();
    let readable = attributes.map(|attribute| !cannot_read(&text, attribute));
    if readable == [false; N] {
        return readable;
    }
    let json = policy.to_json().ok();
    let reads = |attribute| json.as_ref().is_none_or(|json| reads_context(json, &[attribute]));
    std::array::from_fn(|index| readable[index] && reads(attributes[index]))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Parsing is slow, so most policies must be settled without it. But a policy that has no text
    /// is not settled.
    #[test]
    fn the_text_alone_settles_most_policies() {
        let settled = |text: &str| cannot_read(text, "approval");
        assert!(settled("permit (principal, action, resource);"));
        assert!(settled("forbid (principal, action, resource) when { context.duration > 1 };"));
        for open in ["", "context has approval", "context == context", r#"context has "\u{61}""#] {
            assert!(!settled(open), "{open}");
        }
    }
}
