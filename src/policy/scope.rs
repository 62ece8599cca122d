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

use super::session_policy::{Beside, SessionPolicy};
use super::template::{Attribute, Lookup, Template};
use crate::alphabet::is_word;
use crate::caller::{Caller, managed_policy_owner, role_owner};
use crate::request::{ProfileName, RequestId};
use std::collections::BTreeMap;
use std::net::IpAddr;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// The greatest length of all session policies together.
const LONGEST_POLICY: usize = 2_048;
const MOST_POLICY_ARNS: usize = 10;
const MOST_TAGS: usize = 50;
/// The tags of every session.
const PROFILE_TAG: &str = "SentinelProfile";
const REQUEST_TAG: &str = "SentinelRequestId";
/// The tag of a session that was approved: the request's id.
const APPROVAL_TAG: &str = "SentinelApproval";
/// The tag of a session in an emergency: when it began.
const EMERGENCY_TAG: &str = "SentinelEmergency";
const OWN_TAGS: [&str; 4] = [PROFILE_TAG, REQUEST_TAG, APPROVAL_TAG, EMERGENCY_TAG];

/// The scope of a profile's sessions, as the catalogue has it.
pub(super) struct ScopeSettings {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive_tags: Vec<String>,
    pub(super) session_policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) bind_source_ip: bool,
}

/// The scope of a profile's sessions, checked.
#[derive(Debug)]
pub(super) struct ProfileScope {
    tags: BTreeMap<String, Template>,
    transitive_tags: Vec<String>,
    session_policy: Option<SessionPolicy>,
    policy_arns: Vec<String>,
    address: Address,
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
}

impl SessionScope {
    /// The same scope, with the tags of an approval and an emergency.
    pub(super) fn with_access(
        mut self,
        approval: Option<String>,
        emergency: Option<UtcDateTime>,
    ) -> Self {
        let began = emergency.and_then(|began_at| began_at.format(&Rfc3339).ok());
        let tags = [(APPROVAL_TAG, approval), (EMERGENCY_TAG, began)];
        self.tags
            .extend(tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        self
    }

    /// The same scope, with the tags of every session in front.
    pub(super) fn marked(mut self, profile: &ProfileName, id: &RequestId) -> Self {
        let own = [(PROFILE_TAG, profile.as_str()), (REQUEST_TAG, id.as_str())];
        self.tags.splice(..0, own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        self
    }
}

impl ScopeSettings {
    /// The scope, and its problems.
    pub(super) fn check(self, role_arn: &str) -> (ProfileScope, Vec<String>) {
        let mut problems = tag_keys(&self.tags);
        problems.extend(transitive_tags(&self.transitive_tags, &self.tags));
        problems.extend(policy_arns(&self.policy_arns, role_arn));
        let mut tags = BTreeMap::new();
        for (key, value) in self.tags {
            match Template::try_from(value) {
                Ok(value) => drop(tags.insert(key, value)),
                Err(problem) => problems.push(format!("the tag {key:?}: {problem}")),
            }
        }
        let session_policy = self.session_policy.and_then(|text| {
            let parsed = SessionPolicy::parse(&text);
            parsed
                .map_err(|found| {
                    problems
                        .extend(found.into_iter().map(|found| format!("session_policy: {found}")));
                })
                .ok()
        });
        let (transitive_tags, policy_arns) = (self.transitive_tags, self.policy_arns);
        let address = if self.bind_source_ip { Address::Own } else { Address::Any };
        let scope = ProfileScope { tags, transitive_tags, session_policy, policy_arns, address };
        problems.extend(scope.worst_case());
        (scope, problems)
    }
}

impl ProfileScope {
    /// The scope of `caller`'s session, without the tags of every session.
    pub(super) fn narrow(&self, caller: &Caller) -> Result<SessionScope, Unscopable> {
        let lookup = |attribute: Attribute| attribute.of(caller);
        Ok(SessionScope {
            policy: self.policy(&lookup, caller.source_ip())?,
            policy_arns: self.policy_arns.clone(),
            tags: self.tags(&lookup)?,
            transitive_tags: self.transitive_tags.clone(),
        })
    }

    fn policy(
        &self,
        lookup: Lookup<'_>,
        source_ip: Option<IpAddr>,
    ) -> Result<Option<String>, Unscopable> {
        let source_ip = match self.address {
            Address::Any => None,
            Address::Own => Some(source_ip.ok_or(Unscopable::Address)?),
        };
        let beside =
            if self.policy_arns.is_empty() { Beside::Nothing } else { Beside::ManagedPolicies };
        let policy = match &self.session_policy {
            Some(template) => Some(template.fill(lookup, source_ip).map_err(missing)?),
            None => source_ip.map(|ip| SessionPolicy::only_from(ip, beside)),
        };
        let length = self.policy_arns.iter().map(String::len).sum::<usize>();
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
        let policy = self.policy(&longest, Some(longest_address)).err().map(|_| {
            "session_policy and policy_arns can be longer than the 2048 characters that STS takes, or are not in Latin-1"
                .to_owned()
        });
        let bad =
            |template: &Template| !template.fill(&longest).is_ok_and(|value| is_tag_value(&value));
        let tags = self.tags.iter().filter(|(_, template)| bad(template)).map(|(key, _)| {
            format!("the value of the tag {key:?} is not, or can be not, 0 to 256 of A-Z a-z 0-9 blank _ . : / = + - @")
        });
        tags.chain(policy).collect()
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
        problems.push("there are more than 46 tags".to_owned());
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
    unknown.chain(repeated(keys, "transitive_tags")).collect()
}

fn policy_arns(arns: &[String], role_arn: &str) -> Vec<String> {
    let mut problems: Vec<String> = repeated(arns, "policy_arns").collect();
    if arns.len() > MOST_POLICY_ARNS {
        problems.push("policy_arns has more than 10 ARNs".to_owned());
    }
    let Some((partition, account)) = role_owner(role_arn) else {
        return problems;
    };
    let fits = |arn: &String| {
        managed_policy_owner(arn)
            .is_some_and(|(own, owner)| own == partition && (owner == "aws" || owner == account))
    };
    let strangers = arns.iter().filter(|arn| !fits(arn));
    problems.extend(strangers.map(|arn| {
        format!(
            "policy_arns has {arn:?}, which is no managed policy of AWS or of the role's account"
        )
    }));
    problems
}

fn repeated<'a>(texts: &'a [String], key: &'a str) -> impl Iterator<Item = String> + 'a {
    let again = texts.iter().enumerate().filter(|(index, text)| texts[..*index].contains(text));
    again.map(move |(_, text)| format!("{key} has {text:?} twice"))
}

fn is_tag_value(text: &str) -> bool {
    text.len() <= 256 && is_tag_text(text)
}

fn is_tag_text(text: &str) -> bool {
    is_word(text, 0..=usize::MAX, b" _.:/=+-@")
}

#[cfg(test)]
mod tests;
