//! References to entities that do not exist.
//!
//! A `permit` that names one permits nothing, which is worth a warning. A `forbid` that names one
//! forbids nothing, which is a hole in the fence: the bundle does not load.

use super::catalogue::Catalogue;
use crate::caller::{NamedSessionRoles, is_principal};
use crate::request::ProfileName;
use cedar_policy::{EntityUid, Policy, PolicySet};
use std::collections::BTreeSet;

/// A reference to an entity that does not exist.
pub(super) struct DanglingReference<'a> {
    /// The policy that contains it.
    pub(super) policy: &'a Policy,
    /// Its text there: `Sentinel::Profile::"dve"`.
    pub(super) literal: String,
    pub(super) problem: String,
}

pub(super) fn dangling<'a>(
    policies: &'a PolicySet,
    catalogue: &Catalogue,
    named: &NamedSessionRoles,
) -> Vec<DanglingReference<'a>> {
    let groups = groups(catalogue);
    let profiles: BTreeSet<&str> = catalogue.keys().map(ProfileName::as_str).collect();
    let problem = |uid: &EntityUid| {
        let id = uid.id();
        let id: &str = id.unescaped();
        match uid.type_name().basename() {
            "Profile" if !profiles.contains(id) => Some(format!("there is no profile {id:?}")),
            "ProfileGroup" if !groups.contains(id) => {
                Some(format!("no profile is in the group {id:?}"))
            }
            "Caller" if !is_principal(id, named) => {
                Some(format!("no caller is ever {id:?}: name a principal, as docs/api.md has them"))
            }
            _ => None,
        }
    };
    let of_policy = |policy: &'a Policy| {
        let found = policy
            .entity_literals()
            .into_iter()
            .filter_map(|uid| Some((uid.to_string(), problem(&uid)?)));
        found
            .map(|(literal, problem)| DanglingReference { policy, literal, problem })
            .collect::<Vec<_>>()
    };
    policies.policies().flat_map(of_policy).collect()
}

/// Groups in the catalogue that no policy names, which may be misspelt.
pub(super) fn unused_groups(policies: &PolicySet, catalogue: &Catalogue) -> Vec<String> {
    let literals: Vec<EntityUid> = policies.policies().flat_map(Policy::entity_literals).collect();
    let named: BTreeSet<&str> = literals
        .iter()
        .filter(|uid| uid.type_name().basename() == "ProfileGroup")
        .map(|uid| uid.id().unescaped())
        .collect();
    let unused = groups(catalogue).into_iter().filter(|group| !named.contains(group));
    unused.map(|group| format!("profiles.toml: no policy names the group {group:?}")).collect()
}

fn groups(catalogue: &Catalogue) -> BTreeSet<&str> {
    catalogue.values().flat_map(|profile| &profile.groups).map(String::as_str).collect()
}
