//! The scope of a session beyond its role: session policies, tags, and the address that it is bound
//! to.
//!
//! Invariant: STS never receives a scope that it would reject for its form. Values that depend on
//! the caller are checked twice: with the longest possible attributes when the profile is loaded,
//! and with the caller's own before the call. If a session cannot be scoped as the profile demands,
//! the request is refused.
//!
//! Limits: the STS API reference on `AssumeRole` and `Tag`, as in the aws-sdk-sts model. It does
//! not say clearly whether the 2 048 characters of "both inline and managed session policies" apply
//! to their sum; this module assumes so.

use super::ScopeSummary;
use super::named_scope::{NamedScope, NamedScopeToml, Own};
use super::policy_arns;
use super::session_policy::{Beside, Parts, SessionPolicy};
use super::template::{Attribute, Lookup, Template};
use crate::access::AccessId;
use crate::alphabet::is_word;
use crate::caller::Caller;
use crate::claims::Claims;
use crate::request::{ProfileName, RequestId, ScopeName};
use std::collections::BTreeMap;
use std::net::IpAddr;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// The greatest length of all session policies together.
const LONGEST_POLICY: usize = 2_048;
const MOST_TAGS: usize = 50;
/// The tags of every session.
const PROFILE_TAG: &str = "SentinelProfile";
const REQUEST_TAG: &str = "SentinelRequestId";
/// The tag of a session that was approved: the request's id.
const APPROVAL_TAG: &str = "SentinelApproval";
/// The tag of a session in an emergency: when it began.
const EMERGENCY_TAG: &str = "SentinelEmergency";
/// The tags of a session whose request names a scope, or claims something.
const SCOPE_TAG: &str = "SentinelScope";
const REASON_TAG: &str = "SentinelReason";
const TICKET_TAG: &str = "SentinelTicket";
const AGENT_TAG: &str = "SentinelAgent";
const OWN_TAGS: [&str; 8] = [
    PROFILE_TAG,
    REQUEST_TAG,
    APPROVAL_TAG,
    EMERGENCY_TAG,
    SCOPE_TAG,
    REASON_TAG,
    TICKET_TAG,
    AGENT_TAG,
];
/// The most of a claim that a tag holds: STS limits the packed size of all tags together, and a caller
/// must not reach that limit by a long reason. The audit line holds it whole.
const LONGEST_CLAIM: usize = 128;

/// The scope of a profile's sessions, as the catalogue has it.
pub(super) struct ScopeSettings {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) session_policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) bind_source_ip: bool,
    pub(super) scopes: BTreeMap<ScopeName, NamedScopeToml>,
}

/// The scope of a profile's sessions, checked.
#[derive(Debug)]
pub(super) struct ProfileScope {
    tags: BTreeMap<String, Template>,
    transitive_tags: Vec<String>,
    session_policy: Option<SessionPolicy>,
    policy_arns: Vec<String>,
    address: Address,
    /// The scopes that callers can ask for.
    named: BTreeMap<ScopeName, NamedScope>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Any,
    /// The address that the request came from.
    Own,
}

/// The scope of one session, in the form that STS accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionScope {
    /// An inline session policy, as JSON.
    pub policy: Option<String>,
    /// Managed session policies.
    pub policy_arns: Vec<String>,
    /// Session tags, as key and value.
    pub tags: Vec<(String, String)>,
    /// The keys of the tags that the session keeps when it assumes another role.
    pub transitive_tags: Vec<String>,
}

/// Why a session cannot be scoped for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unscopable {
    /// A template uses an attribute that this caller does not have.
    #[error("the caller has no {0}, which the profile uses")]
    Missing(&'static str),
    /// STS would reject the value of a tag.
    #[error(
        "a tag made of the caller's attributes has characters or a length that STS does not take"
    )]
    Tag,
    /// STS would reject the session policies for their length or characters.
    #[error(
        "the session policy made of the caller's attributes is longer than 2048 characters, or not in Latin-1"
    )]
    Policy,
    /// The profile binds sessions to the caller's address, which is not known.
    #[error("the caller's address is not known, to which the profile binds its sessions")]
    Address,
    /// The profile has no scope of the requested name.
    #[error("no such scope")]
    NoSuchScope,
}

/// What the tags of a session say about its request.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    pub(super) profile: &'a ProfileName,
    pub(super) request_id: &'a RequestId,
    pub(super) approval: Option<AccessId>,
    /// When the emergency began.
    pub(super) emergency: Option<UtcDateTime>,
    pub(super) scope: Option<&'a ScopeName>,
    pub(super) claims: &'a Claims,
}

impl SessionScope {
    /// The same scope, with the tags of every session in front, and those of this one at the end.
    pub(super) fn marked(mut self, marks: &Marks<'_>) -> Self {
        let own = [(PROFILE_TAG, marks.profile.as_str()), (REQUEST_TAG, marks.request_id.as_str())];
        self.tags.splice(..0, own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let began = marks.emergency.and_then(|began_at| began_at.format(&Rfc3339).ok());
        let Claims { reason, ticket, agent } = marks.claims;
        let tags = [
            (APPROVAL_TAG, marks.approval.map(|id| id.to_string())),
            (EMERGENCY_TAG, began),
            (SCOPE_TAG, marks.scope.map(|scope| scope.as_str().to_owned())),
            (REASON_TAG, reason.as_ref().map(|reason| claimed(reason.as_str()))),
            (TICKET_TAG, ticket.as_ref().map(|ticket| claimed(ticket.as_str()))),
            (AGENT_TAG, agent.as_ref().map(|agent| claimed(agent.as_str()))),
        ];
        self.tags
            .extend(tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        self
    }
}

/// A claim as the value of a tag: its beginning, with an underscore for each character that a tag does
/// not take.
fn claimed(text: &str) -> String {
    let taken = |c: char| if is_tag_text(c.encode_utf8(&mut [0; 4])) { c } else { '_' };
    text.chars().take(LONGEST_CLAIM).map(taken).collect()
}

impl ScopeSettings {
    /// The scope, and its problems.
    pub(super) fn check(self, role_arn: &str) -> (ProfileScope, Vec<String>) {
        let mut problems = tag_keys(&self.tags);
        problems.extend(transitive_tags(&self.transitive_tags, &self.tags));
        problems.extend(policy_arns::problems(&self.policy_arns, role_arn));
        let mut tags = BTreeMap::new();
        for (key, value) in self.tags {
            match Template::try_from(value) {
                Ok(value) => drop(tags.insert(key, value)),
                Err(problem) => problems.push(format!("the tag {key:?}: {problem}")),
            }
        }
        let session_policy = SessionPolicy::checked(self.session_policy.as_deref(), &mut problems);
        let (transitive_tags, policy_arns) = (self.transitive_tags, self.policy_arns);
        let address = if self.bind_source_ip { Address::Own } else { Address::Any };
        let own = Own { session_policy: session_policy.as_ref(), policy_arns: &policy_arns };
        let mut named = BTreeMap::new();
        for (name, scope) in self.scopes {
            let (scope, found) = scope.check(role_arn, own);
            let label = format!("scopes.{}", name.as_str());
            problems.extend(found.into_iter().map(|problem| format!("{label}: {problem}")));
            named.insert(name, scope);
        }
        let scope =
            ProfileScope { tags, transitive_tags, session_policy, policy_arns, address, named };
        problems.extend(scope.worst_case());
        (scope, problems)
    }
}

impl ProfileScope {
    /// The scope of `caller`'s session, as the request's scope narrows it, without the tags that say
    /// what was requested.
    pub(super) fn narrow(
        &self,
        caller: &Caller,
        scope: Option<&ScopeName>,
    ) -> Result<SessionScope, Unscopable> {
        let lookup = |attribute: Attribute| attribute.of(caller);
        let find = |name| self.named.get(name).ok_or(Unscopable::NoSuchScope);
        let named = scope.map(find).transpose()?;
        Ok(SessionScope {
            policy: self.policy(named, &lookup, caller.source_ip())?,
            policy_arns: self.policy_arns(named).cloned().collect(),
            tags: self.tags(&lookup)?,
            transitive_tags: self.transitive_tags.clone(),
        })
    }

    /// The scopes that callers can ask for, by name.
    pub(super) fn summaries(&self) -> Vec<ScopeSummary> {
        let summary = |(name, scope): (&ScopeName, &NamedScope)| ScopeSummary {
            name: name.clone(),
            description: scope.description.clone(),
        };
        self.named.iter().map(summary).collect()
    }

    fn policy_arns<'a>(
        &'a self,
        named: Option<&'a NamedScope>,
    ) -> impl Iterator<Item = &'a String> {
        self.policy_arns.iter().chain(named.into_iter().flat_map(|named| &named.policy_arns))
    }

    fn policy(
        &self,
        named: Option<&NamedScope>,
        lookup: Lookup<'_>,
        source_ip: Option<IpAddr>,
    ) -> Result<Option<String>, Unscopable> {
        let length = self.policy_arns(named).map(String::len).sum::<usize>();
        let parts = Parts {
            profile: self.session_policy.as_ref(),
            scope: named.and_then(|named| named.session_policy.as_ref()),
            source_ip: match self.address {
                Address::Any => None,
                Address::Own => Some(source_ip.ok_or(Unscopable::Address)?),
            },
            beside: if length == 0 { Beside::Nothing } else { Beside::ManagedPolicies },
        };
        let policy = parts.fill(lookup).map_err(missing)?;
        let fits = |policy: &String| {
            policy.chars().count() + length <= LONGEST_POLICY
                && policy.chars().all(|c| ('\u{20}'..='\u{ff}').contains(&c))
        };
        if policy.as_ref().is_none_or(fits) && length <= LONGEST_POLICY {
            Ok(policy)
        } else {
            Err(Unscopable::Policy)
        }
    }

    fn tags(&self, lookup: Lookup<'_>) -> Result<Vec<(String, String)>, Unscopable> {
        let filled = self.tags.iter().map(|(key, template)| {
            let value = template.fill(lookup).map_err(missing)?;
            if is_tag_value(&value) { Ok((key.clone(), value)) } else { Err(Unscopable::Tag) }
        });
        filled.collect()
    }

    /// The problems for a caller with the longest attributes.
    fn worst_case(&self) -> Vec<String> {
        let longest = |attribute: Attribute| Some(attribute.longest());
        let longest_address = IpAddr::from([0xffff; 8]);
        let fits = |named| self.policy(named, &longest, Some(longest_address)).is_ok();
        let too_long = "session_policy and policy_arns can be longer than the 2048 characters that STS takes, or are not in Latin-1";
        let policy = (!fits(None)).then(|| too_long.to_owned());
        let scopes = self.named.iter().filter(|(_, scope)| !fits(Some(*scope)));
        let scopes =
            scopes.map(|(name, _)| format!("scopes.{}: with it, {too_long}", name.as_str()));
        let bad =
            |template: &Template| !template.fill(&longest).is_ok_and(|value| is_tag_value(&value));
        let tags = self.tags.iter().filter(|(_, template)| bad(template)).map(|(key, _)| {
            format!("the value of the tag {key:?} is not, or can be not, 0 to 256 of A-Z a-z 0-9 blank _ . : / = + - @")
        });
        tags.chain(policy).chain(scopes).collect()
    }
}

fn missing(attribute: Attribute) -> Unscopable {
    Unscopable::Missing(attribute.name())
}

/// STS's limits on session tags: 50 tags, keys of 1 to 128 and values of 0 to 256 characters, keys
/// unique without regard to case and not beginning with `aws:`. STS accepts letters and digits of
/// any script, this function ASCII only.
fn tag_keys(tags: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen: Vec<String> = OWN_TAGS.iter().map(|tag| tag.to_ascii_lowercase()).collect();
    if tags.len() + seen.len() > MOST_TAGS {
        problems.push("there are more than 42 tags".to_owned());
    }
    for key in tags.keys() {
        let folded = key.to_ascii_lowercase();
        if !(1..=128).contains(&key.len()) || !is_tag_text(key) || folded.starts_with("aws:") {
            problems.push(format!("the tag key {key:?} is not 1 to 128 of A-Z a-z 0-9 blank _ . : / = + - @, or begins aws:"));
        }
        if seen.contains(&folded) {
            problems.push(format!(
                "the tag key {key:?} is taken (upper and lower case count as the same)"
            ));
        }
        seen.push(folded);
    }
    problems
}

fn transitive_tags(keys: &[String], tags: &BTreeMap<String, String>) -> Vec<String> {
    let known =
        |key: &String| tags.contains_key(key) || [PROFILE_TAG, REQUEST_TAG].contains(&key.as_str());
    let unknown = keys
        .iter()
        .filter(|key| !known(key))
        .map(|key| format!("transitive_tags has {key:?}, which is no tag of it"));
    unknown.chain(policy_arns::repeated(keys, "transitive_tags")).collect()
}

fn is_tag_value(text: &str) -> bool {
    text.len() <= 256 && is_tag_text(text)
}

fn is_tag_text(text: &str) -> bool {
    is_word(text, 0..=usize::MAX, b" _.:/=+-@")
}

#[cfg(test)]
mod tests;
