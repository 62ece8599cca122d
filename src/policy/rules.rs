//! The policies of a bundle, sorted by scope, and their evaluation.
//!
//! Invariant: the result is that of all policies together. A policy is skipped only if it cannot
//! apply: its scope names another caller, profile or group. So a request for one of a thousand
//! profiles does not pay for the policies of the others.

use super::cedar_request::CedarRequest;
use super::{Refusal, annotations};
use cedar_policy::{
    AuthorizationError, Authorizer, Decision, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};
use std::collections::HashMap;

/// Policies, ready to evaluate.
#[derive(Debug)]
pub(super) struct Rules {
    all: PolicySet,
    by_scope: HashMap<PolicyScope, PolicySet>,
    authorizer: Authorizer,
}

/// The principal, and the profile or group, that a policy's scope names; `None` if it names none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PolicyScope {
    principal: Option<EntityUid>,
    resource: Option<EntityUid>,
}

/// The result of evaluating the policies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evaluation {
    /// The policies that decided: those that failed to evaluate, if any did.
    pub(super) deciding: Vec<PolicyId>,
    /// Why the request is refused; `None` if it is permitted.
    pub(super) refusal: Option<Refusal>,
}

/// A policy's name in the audit line: its `@id`, else its file and place.
pub(super) fn policy_name(id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    id.to_owned()
}

impl Rules {
    pub(super) fn new(all: PolicySet) -> Self {
        let mut by_scope: HashMap<PolicyScope, PolicySet> = HashMap::new();
        for policy in all.policies() {
            // Ids are unique in the set that it comes from.
            let _ = by_scope.entry(PolicyScope::of(policy)).or_default().add(policy.clone());
        }
        Self { all, by_scope, authorizer: Authorizer::new() }
    }

    /// The policies with these ids.
    pub(super) fn named<'a>(&'a self, ids: &'a [PolicyId]) -> impl Iterator<Item = &'a Policy> {
        ids.iter().filter_map(|id| self.all.policy(id))
    }

    pub(super) fn evaluate(&self, request: &CedarRequest) -> Evaluation {
        let (mut failed, mut forbids, mut permits) = (Vec::new(), Vec::new(), Vec::new());
        for policies in request.scopes().filter_map(|(principal, resource)| {
            self.by_scope.get(&PolicyScope { principal, resource })
        }) {
            let response =
                self.authorizer.is_authorized(request.request(), policies, request.entities());
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
        Evaluation { deciding, refusal }
    }
}

impl PolicyScope {
    /// Callers and profiles have no children, so `in` one of them means `==`. Any other `in` names
    /// a group.
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

impl Evaluation {
    /// The names of the deciding policies.
    pub(super) fn rules(&self) -> Vec<String> {
        self.deciding.iter().map(policy_name).collect()
    }

    /// The names of the deciding policies that are in shadow mode.
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
