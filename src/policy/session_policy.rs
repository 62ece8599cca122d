//! Session policies: IAM policies that narrow the role's permissions for one session.
//!
//! A template is checked as a whole when it is loaded, against IAM's grammar of identity-based
//! policies. Placeholders may occur in resources and in the values of conditions, nowhere else.
//! Invariant: a caller's attribute can change neither the JSON, which is serialized anew, nor its
//! meaning: IAM's wildcards and variables in the attribute are escaped.
//!
//! Source: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in
//! the IAM user guide; `${*}`, `${?}` and `${$}` mean the characters themselves in policies of the
//! version 2012-10-17.

use super::iam_json::OneOrMany;
use super::template::{Attribute, Lookup, Template};
use crate::alphabet::is_word;
use serde::{Deserialize, Serialize};
use serde_with::{MapPreventDuplicates, serde_as};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A policy document; `T` is a [`Template`], or the text that it produced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Document<T> {
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    statement: OneOrMany<Statement<T>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
enum Version {
    /// The only version with policy variables, and so with escapes.
    #[serde(rename = "2012-10-17")]
    V2012,
}

/// Values by condition key by condition operator.
type Condition<T> = BTreeMap<String, BTreeMap<String, OneOrMany<T>>>;

/// A name that occurs twice in a condition is an error: `serde_json` alone would silently drop the
/// first of the two.
#[serde_as]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", bound(deserialize = "T: Deserialize<'de>"))]
struct Statement<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<OneOrMany<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_action: Option<OneOrMany<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<OneOrMany<T>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_resource: Option<OneOrMany<T>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde_as(as = "Option<MapPreventDuplicates<_, MapPreventDuplicates<_, _>>>")]
    condition: Option<Condition<T>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
enum Effect {
    Allow,
    Deny,
}

/// A checked template of a session policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionPolicy(Document<Template>);

impl SessionPolicy {
    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let document: Document<Template> =
            serde_json::from_str(text).map_err(|error| vec![format!("{error} of its text")])?;
        let problems = problems(&document);
        if problems.is_empty() { Ok(Self(document)) } else { Err(problems) }
    }

    /// A template, unless there is none or it has problems.
    pub(super) fn checked(text: Option<&str>, problems: &mut Vec<String>) -> Option<Self> {
        let parsed = Self::parse(text?);
        let found =
            |found: Vec<String>| found.into_iter().map(|it| format!("session_policy: {it}"));
        parsed.map_err(|all| problems.extend(found(all))).ok()
    }

    /// Whether it only takes away.
    pub(super) fn only_denies(&self) -> bool {
        self.0.statement.iter().all(|statement| statement.effect == Effect::Deny)
    }

    /// The statement ids that are in the other policy, too.
    pub(super) fn shared_sids<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.sids().filter(|sid| other.sids().any(|other| other == *sid))
    }

    fn sids(&self) -> impl Iterator<Item = &str> {
        self.0.statement.iter().filter_map(|statement| statement.sid.as_deref())
    }
}

/// The parts of one session's inline policy.
///
/// A session may do what its role allows, and at least one of its session policies. So a further
/// statement takes away only if it denies, or if nothing else allows anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// The profile's own policy.
    pub(super) profile: Option<&'a SessionPolicy>,
    /// The policy of the scope that the caller asks for.
    pub(super) scope: Option<&'a SessionPolicy>,
    /// The address that the session is bound to.
    pub(super) source_ip: Option<IpAddr>,
    pub(super) beside: Beside,
}

impl Parts<'_> {
    /// The policy as JSON, its placeholders filled by `lookup`; `None` without any part.
    pub(super) fn fill(self, lookup: Lookup<'_>) -> Result<Option<String>, Attribute> {
        let mut statements = Vec::new();
        for part in [self.profile, self.scope].into_iter().flatten() {
            for statement in part.0.statement.iter() {
                statements.push(statement.fill(lookup)?);
            }
        }
        statements.extend(self.source_ip.map(deny_elsewhere));
        if statements.is_empty() {
            return Ok(None);
        }
        let allows = statements.iter().any(|statement| statement.effect == Effect::Allow);
        if self.profile.is_none() && self.beside == Beside::Nothing && !allows {
            statements.insert(0, Statement::everything(Effect::Allow, None));
        }
        let id = self.profile.or(self.scope).and_then(|part| part.0.id.clone());
        let statement = OneOrMany::Many(statements);
        Ok(Some(Document { version: Version::V2012, id, statement }.to_json()))
    }
}

/// The other session policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Nothing,
    ManagedPolicies,
}

impl Document<String> {
    fn to_json(&self) -> String {
        // Only maps with keys that are not text would fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Statement<String> {
    fn everything(effect: Effect, condition: Option<Condition<String>>) -> Self {
        let all = || Some(OneOrMany::One("*".to_owned()));
        Self {
            sid: None,
            effect,
            action: all(),
            not_action: None,
            resource: all(),
            not_resource: None,
            condition,
        }
    }
}

/// Denies requests from other addresses, except those that AWS services make for the session
/// (`aws:ViaAWSService`). A request without `aws:SourceIp`, as through a VPC end point, is denied:
/// a negated operator matches an absent key.
fn deny_elsewhere(source_ip: IpAddr) -> Statement<String> {
    let length = if source_ip.is_ipv4() { 32 } else { 128 };
    let one = |key: &str, value: String| BTreeMap::from([(key.to_owned(), OneOrMany::One(value))]);
    let condition = BTreeMap::from([
        ("NotIpAddress".to_owned(), one("aws:SourceIp", format!("{source_ip}/{length}"))),
        ("Bool".to_owned(), one("aws:ViaAWSService", "false".to_owned())),
    ]);
    Statement::everything(Effect::Deny, Some(condition))
}

impl Statement<Template> {
    fn fill(&self, lookup: Lookup<'_>) -> Result<Statement<String>, Attribute> {
        let escaped = |attribute| lookup(attribute).map(|text| escape(&text));
        let fill = |template: &Template| template.fill(&escaped);
        let fill_all = |templates: &OneOrMany<Template>| templates.try_map(fill);
        Ok(Statement {
            sid: self.sid.clone(),
            effect: self.effect,
            action: self.action.clone(),
            not_action: self.not_action.clone(),
            resource: self.resource.as_ref().map(fill_all).transpose()?,
            not_resource: self.not_resource.as_ref().map(fill_all).transpose()?,
            condition: match &self.condition {
                Some(condition) => Some(try_map(condition, |keys| try_map(keys, fill_all))?),
                None => None,
            },
        })
    }
}

fn try_map<T, U, E>(
    map: &BTreeMap<String, T>,
    change: impl Fn(&T) -> Result<U, E>,
) -> Result<BTreeMap<String, U>, E> {
    map.iter().map(|(name, value)| Ok((name.clone(), change(value)?))).collect()
}

/// Escapes IAM's wildcards and its sign for variables, so that they mean themselves.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '?' | '$' => escaped.extend(['$', '{', character, '}']),
            _ => escaped.push(character),
        }
    }
    escaped
}

fn problems(document: &Document<Template>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut sids = Vec::new();
    let statements: Vec<&Statement<Template>> = document.statement.iter().collect();
    if statements.is_empty() {
        problems.push("Statement is empty".to_owned());
    }
    for (index, statement) in statements.into_iter().enumerate() {
        problems.extend(
            statement.problems().map(|problem| format!("statement {}: {problem}", index + 1)),
        );
        if let Some(sid) = &statement.sid {
            if sids.contains(sid) {
                problems.push(format!("the Sid {sid:?} is used twice"));
            }
            sids.push(sid.clone());
        }
    }
    problems
}

impl Statement<Template> {
    fn problems(&self) -> impl Iterator<Item = &'static str> {
        let one_of = |one: bool, other: bool| one != other;
        let actions: Vec<&String> =
            self.action.iter().chain(&self.not_action).flat_map(OneOrMany::iter).collect();
        let resources = self.resource.iter().chain(&self.not_resource).flat_map(OneOrMany::iter);
        let resources: Vec<String> = resources
            .filter_map(|template| template.fill(&|attribute| Some(attribute.longest())).ok())
            .collect();
        let keys =
            || self.condition.iter().flat_map(BTreeMap::iter).flat_map(|(_, keys)| keys.iter());
        let found = [
            (
                self.sid.as_ref().is_some_and(|sid| !is_word(sid, 1..=usize::MAX, b"")),
                "Sid is not letters and digits",
            ),
            (
                !one_of(self.action.is_some(), self.not_action.is_some()),
                "needs either Action or NotAction",
            ),
            (
                !one_of(self.resource.is_some(), self.not_resource.is_some()),
                "needs either Resource or NotResource",
            ),
            (
                actions.is_empty() || !actions.iter().all(|action| is_action(action)),
                "an action is not SERVICE:NAME or *",
            ),
            (
                resources.is_empty() || !resources.iter().all(|text| is_resource(text)),
                "a resource is not an ARN or *",
            ),
            (
                self.condition.iter().flat_map(BTreeMap::iter).any(|(name, _)| !is_operator(name)),
                "unknown condition operator",
            ),
            (
                self.condition
                    .iter()
                    .flat_map(BTreeMap::iter)
                    .any(|(_, keys)| keys.iter().next().is_none()),
                "a condition operator has no key",
            ),
            (keys().any(|(key, _)| !is_condition_key(key)), "a condition key is not PREFIX:NAME"),
            (
                keys().any(|(_, values)| values.iter().next().is_none()),
                "a condition key has no value",
            ),
        ];
        found.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem))
    }
}

/// `s3:Get*`. The service's prefix has no wildcard.
fn is_action(text: &str) -> bool {
    let is_action = |(service, name): (&str, &str)| {
        is_word(service, 1..=128, b"-") && is_word(name, 1..=128, b"*?")
    };
    text == "*" || text.split_once(':').is_some_and(is_action)
}

/// `*`, or an ARN of six parts.
fn is_resource(text: &str) -> bool {
    text == "*"
        || (text.starts_with("arn:")
            && text.splitn(6, ':').filter(|part| !part.contains(char::is_whitespace)).count() == 6)
}

/// `aws:SourceIp`, `aws:PrincipalTag/Team`, `s3:prefix`.
fn is_condition_key(text: &str) -> bool {
    text.split_once(':').is_some_and(|(prefix, name)| !prefix.is_empty() && !name.is_empty())
        && !text.contains("<<")
}

/// Source: "IAM JSON policy elements: Condition operators" in the IAM user guide.
fn is_operator(text: &str) -> bool {
    let text = text
        .strip_prefix("ForAllValues:")
        .or_else(|| text.strip_prefix("ForAnyValue:"))
        .unwrap_or(text);
    let plain = text.strip_suffix("IfExists").unwrap_or(text);
    let known = [
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "Bool",
        "BinaryEquals",
        "IpAddress",
        "NotIpAddress",
        "ArnEquals",
        "ArnLike",
        "ArnNotEquals",
        "ArnNotLike",
    ];
    known.contains(&plain) || text == "Null"
}
