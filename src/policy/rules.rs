//! The policies of a bundle, sorted by what they are about, and the verdict of those that are about a request.
//!
//! Invariant: the verdict is that of all policies together. Only policies that cannot apply are left out: their scope names
//! another caller, profile or group. Who asks for one of a thousand profiles does not pay for the policies of the others.

use super::bundle::policy_name;
use super::question::Question;
use super::{Refusal, annotations};
use cedar_policy::{
    AuthorizationError, Authorizer, Decision, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};
use std::collections::HashMap;

/// Policies, ready to judge.
#[derive(Debug)]
pub(super) struct Rules {
    all: PolicySet,
    by_scope: HashMap<Scope, PolicySet>,
    authorizer: Authorizer,
}

/// The one principal and the one profile or group that a policy is about; none if it is about any.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    principal: Option<EntityUid>,
    resource: Option<EntityUid>,
}

/// What the policies say to a request, and which of them decided: those that failed to evaluate, if any did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) deciding: Vec<PolicyId>,
    pub(super) refusal: Option<Refusal>,
}

impl Rules {
    pub(super) fn new(all: PolicySet) -> Self {
        let mut by_scope: HashMap<Scope, PolicySet> = HashMap::new();
        for policy in all.policies() {
            // Ids are unique in the set that it comes from.
            let _ = by_scope.entry(Scope::of(policy)).or_default().add(policy.clone());
        }
        Self { all, by_scope, authorizer: Authorizer::new() }
    }

    /// The policies with these ids.
    pub(super) fn named<'a>(&'a self, ids: &'a [PolicyId]) -> impl Iterator<Item = &'a Policy> {
        ids.iter().filter_map(|id| self.all.policy(id))
    }

    pub(super) fn judge(&self, question: &Question) -> Verdict {
        let (mut failed, mut forbids, mut permits) = (Vec::new(), Vec::new(), Vec::new());
        for policies in question
            .scopes()
            .filter_map(|(principal, resource)| self.by_scope.get(&Scope { principal, resource }))
        {
            let response =
                self.authorizer.is_authorized(question.request(), policies, question.entities());
            let diagnostics = response.diagnostics();
            failed.extend(
                diagnostics.errors().map(|AuthorizationError::PolicyEvaluationError(error)| {
                    error.policy_id().clone()
                }),
            );
            match response.decision() {
                Decision::Allow => permits.extend(diagnostics.reason().cloned()),
                Decision::Deny => forbids.extend(diagnostics.reason().cloned()),
            }
        }
        let (mut deciding, refusal) =
            match (failed.is_empty(), forbids.is_empty(), permits.is_empty()) {
                (false, _, _) => (failed, Some(Refusal::EvaluationFailed)),
                (true, false, _) => (forbids, Some(Refusal::Forbidden)),
                (true, true, false) => (permits, None),
                (true, true, true) => (permits, Some(Refusal::NoPermit)),
            };
        deciding.sort();
        Verdict { deciding, refusal }
    }
}

impl Scope {
    /// Callers have no parents, so that `in` one is the same as being it; and so is `in` a profile. Else `in` is about a group.
    fn of(policy: &Policy) -> Self {
        Self {
            principal: match policy.principal_constraint() {
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
                PrincipalConstraint::In(uid)
                | PrincipalConstraint::Eq(uid)
                | PrincipalConstraint::IsIn(_, uid) => Some(uid),
            },
            resource: match policy.resource_constraint() {
                ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
                ResourceConstraint::In(uid)
                | ResourceConstraint::Eq(uid)
                | ResourceConstraint::IsIn(_, uid) => Some(uid),
            },
        }
    }
}

impl Verdict {
    /// The names of the deciding policies.
    pub(super) fn rules(&self) -> Vec<String> {
        self.deciding.iter().map(policy_name).collect()
    }

    /// Whether a policy in shadow mode is among the deciding.
    pub(super) fn shadows(&self, rules: &Rules) -> Vec<String> {
        rules
            .named(&self.deciding)
            .filter(|policy| annotations::is_shadow(policy))
            .map(|policy| policy_name(policy.id()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
