//! The policies of a bundle, sorted by scope, and their evaluation.
//!
//! Invariant: the result is that of all policies together. A policy is skipped only if it cannot
//! apply: its scope names another caller, profile or group. So a request for one of a thousand
//! profiles does not pay for the policies of the others.

use super::cedar_request::CedarRequest;
use super::{Refusal, annotations};
use cedar_policy::{
    AuthorizationError, Authorizer, Effect, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint,
};
use std::collections::HashMap;

/// Policies, ready to evaluate.
#[derive(Debug)]
pub(super) struct Rules {
    all: PolicySet,
    by_scope: HashMap<PolicyScope, Scoped>,
    authorizer: Authorizer,
}

/// The policies of one scope, by effect.
#[derive(Debug, Default)]
struct Scoped {
    permits: PolicySet,
    forbids: PolicySet,
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
    /// Whether a permit matches, whatever the forbids say.
    pub(super) is_permitted: bool,
}

/// A policy's name in the audit line: its `@id`, else its file and place.
pub(super) fn policy_name(id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    id.to_owned()
}

impl Rules {
    pub(super) fn new(all: PolicySet) -> Self {
        let mut by_scope: HashMap<PolicyScope, Scoped> = HashMap::new();
        for policy in all.policies() {
            let scoped = by_scope.entry(PolicyScope::of(policy)).or_default();
            let policies = match policy.effect() {
                Effect::Permit => &mut scoped.permits,
                Effect::Forbid => &mut scoped.forbids,
            };
            // Ids are unique in the set that it comes from.
            let _ = policies.add(policy.clone());
        }
        Self { all, by_scope, authorizer: Authorizer::new() }
    }

    /// All of them.
    pub(super) fn all(&self) -> &PolicySet {
        &self.all
    }

    /// The policies with these ids.
    pub(super) fn named<'a>(&'a self, ids: &'a [PolicyId]) -> impl Iterator<Item = &'a Policy> {
        ids.iter().filter_map(|id| self.all.policy(id))
    }

    /// The policies that can apply to a request.
    pub(super) fn applicable(&self, request: &CedarRequest) -> impl Iterator<Item = &Policy> {
        self.scoped(request)
            .flat_map(|scoped| scoped.permits.policies().chain(scoped.forbids.policies()))
    }

    pub(super) fn evaluate(&self, request: &CedarRequest) -> Evaluation {
        let (mut failed, mut forbids, mut permits) = (Vec::new(), Vec::new(), Vec::new());
        for Scoped { permits: permitting, forbids: forbidding } in self.scoped(request) {
            self.add_matching(request, permitting, &mut permits, &mut failed);
            self.add_matching(request, forbidding, &mut forbids, &mut failed);
        }
        let is_permitted = failed.is_empty() && !permits.is_empty();
        let (mut deciding, refusal) = match (failed.is_empty(), forbids.is_empty(), is_permitted) {
            (false, _, _) => (failed, Some(Refusal::EvaluationFailed)),
            (true, false, _) => (forbids, Some(Refusal::Forbidden)),
            (true, true, true) => (permits, None),
            (true, true, false) => (permits, Some(Refusal::NoPermit)),
        };
        deciding.sort();
        Evaluation { deciding, refusal, is_permitted }
    }

    /// Adds the policies that match, and those that fail to evaluate. All have the same effect, so
    /// Cedar's reasons are all that match.
    fn add_matching(
        &self,
        request: &CedarRequest,
        policies: &PolicySet,
        matching: &mut Vec<PolicyId>,
        failed: &mut Vec<PolicyId>,
    ) {
        if policies.is_empty() {
            return;
        }
        let response =
            self.authorizer.is_authorized(request.request(), policies, request.entities());
        matching.extend(response.diagnostics().reason().cloned());
        let errors = response.diagnostics().errors();
        failed.extend(
            errors
                .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().clone()),
        );
    }

    fn scoped(&self, request: &CedarRequest) -> impl Iterator<Item = &Scoped> {
        let scopes =
            request.scopes().map(|(principal, resource)| PolicyScope { principal, resource });
        scopes.filter_map(|scope| self.by_scope.get(&scope))
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
