//! Scopes that callers ask for by name: further session policies of a profile.
//!
//! ```toml
//! [production.scopes.read-only]
//! description = "Look, and change nothing"
//! policy_arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
//! ```
//!
//! Invariant: a session with a scope may do nothing that the same session without it may not. A session
//! may do what its role allows and *one* of its session policies allows. So where the profile has
//! session policies of its own, a scope only denies.
//! Source: "Session policies" in "Policies and permissions in IAM", IAM user guide.

use super::policy_arns;
use super::session_policy::SessionPolicy;
use serde::Deserialize;

/// A scope, as the catalogue has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedScopeToml {
    #[serde(default)]
    description: String,
    session_policy: Option<String>,
    #[serde(default)]
    policy_arns: Vec<String>,
}

/// A scope, checked.
#[derive(Debug)]
pub(super) struct NamedScope {
    pub(super) description: String,
    pub(super) session_policy: Option<SessionPolicy>,
    pub(super) policy_arns: Vec<String>,
}

/// The session policies of a profile itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) session_policy: Option<&'a SessionPolicy>,
    pub(super) policy_arns: &'a [String],
}

impl NamedScopeToml {
    /// The scope, and its problems.
    pub(super) fn check(self, role_arn: &str, own: Own<'_>) -> (NamedScope, Vec<String>) {
        let mut problems: Vec<String> = policy_arns::problems(&self.policy_arns, role_arn);
        let session_policy = SessionPolicy::checked(self.session_policy.as_deref(), &mut problems);
        let named = NamedScope {
            description: self.description,
            session_policy,
            policy_arns: self.policy_arns,
        };
        problems.extend(named.problems(own));
        (named, problems)
    }
}

impl NamedScope {
    fn problems(&self, own: Own<'_>) -> Vec<String> {
        let is_narrowed = own.session_policy.is_some() || !own.policy_arns.is_empty();
        let policy = self.session_policy.as_ref();
        let widens =
            "the profile has session policies, and a session may do what one of them allows";
        let mut problems = Vec::new();
        if policy.is_none() && self.policy_arns.is_empty() {
            problems.push("needs session_policy or policy_arns".to_owned());
        }
        if is_narrowed && !self.policy_arns.is_empty() {
            problems.push(format!("policy_arns would widen it: {widens}"));
        }
        if is_narrowed && policy.is_some_and(|policy| !policy.only_denies()) {
            problems.push(format!("session_policy may only deny: {widens}"));
        }
        if let (Some(policy), Some(own)) = (policy, own.session_policy) {
            let shared = policy.shared_sids(own);
            problems.extend(shared.map(|sid| {
                format!("session_policy: the Sid {sid:?} is in that of the profile, too")
            }));
        }
        problems
    }
}
