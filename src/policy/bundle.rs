//! Reading and checking a policy bundle, as a whole or not at all.

use super::catalogue::{self, Catalogue};
use super::rules::Rules;
use super::{BundleText, annotations, dangling};
use crate::caller::NamedSessionRoles;
use cedar_policy::{Effect, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator};
use miette::Diagnostic;
use std::collections::HashMap;
use std::str::FromStr;

/// The schema that every policy must satisfy. Inside the program, so that a changed bundle cannot loosen it.
const SCHEMA: &str = include_str!("../../policy/sentinel.cedarschema");

#[derive(Debug)]
pub(super) struct Bundle {
    /// Of the text it was read from.
    pub(super) digest: String,
    pub(super) catalogue: Catalogue,
    /// What decides.
    pub(super) rules: Rules,
    /// The same with the policies that are only rehearsed, if there are any.
    pub(super) with_shadow: Option<Rules>,
    /// Whether any policy looks at the time.
    pub(super) time_matters: bool,
    pub(super) warnings: Vec<String>,
}

/// Everything that is wrong with a bundle, one line each, beginning with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct BundleError(pub Vec<String>);

impl Bundle {
    pub(super) fn parse(text: &BundleText, named: &NamedSessionRoles) -> Result<Self, BundleError> {
        let mut problems = Vec::new();
        let catalogue = catalogue::parse(text.catalogue()).unwrap_or_else(|found| {
            problems.extend(found);
            Catalogue::new()
        });
        let Policies { set: policies, files } = parse_policies(text, &mut problems);
        let mut warnings = validate(&policies, &files, &mut problems);
        for (effect, remark) in dangling::remarks(&policies, &catalogue, named) {
            match effect {
                Effect::Forbid => problems.push(remark),
                Effect::Permit => warnings.push(remark),
            }
        }
        if !problems.is_empty() {
            return Err(BundleError(problems));
        }
        warnings.extend(dangling::unused_groups(&policies, &catalogue));
        let time_matters = policies.policies().any(|policy| mentions_time(&policy.to_string()));
        let has_shadow = policies.policies().any(annotations::is_shadow);
        Ok(Self {
            digest: text.digest(),
            catalogue,
            rules: Rules::new(annotations::enforced(&policies)),
            with_shadow: has_shadow.then(|| Rules::new(policies)),
            time_matters,
            warnings,
        })
    }
}

fn mentions_time(text: &str) -> bool {
    ["now", "weekday"].iter().any(|attribute| text.contains(attribute))
}

/// How a policy is called in the audit line: its `@id`, else its file and place.
pub(super) fn policy_name(id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    id.to_owned()
}

/// All policies, and the file that each is in.
#[derive(Default)]
struct Policies {
    set: PolicySet,
    files: HashMap<PolicyId, String>,
}

fn parse_policies(text: &BundleText, problems: &mut Vec<String>) -> Policies {
    let mut all = Policies::default();
    for (file, text) in text.policies() {
        match PolicySet::from_str(text) {
            Ok(set) => collect(file, &set, &mut all, problems),
            Err(errors) => problems.extend(errors.iter().map(|error| located(file, text, error))),
        }
    }
    if all.set.is_empty() && problems.is_empty() {
        problems.push("*.cedar: there is no policy, so nothing could ever be vended".to_owned());
    }
    all
}

/// A syntax error with its place, as an editor takes it: `file:line:column`.
fn located(file: &str, text: &str, error: &impl Diagnostic) -> String {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let before = text.get(..offset).unwrap_or_default();
    let (line, column) = (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{file}:{line}:{column}: {error}{help}")
}

fn collect(file: &str, set: &PolicySet, all: &mut Policies, problems: &mut Vec<String>) {
    if set.templates().next().is_some() {
        problems.push(format!("{file}: policy templates (?principal, ?resource) are not supported"));
    }
    for policy in set.policies() {
        let name = policy.annotation("id").map_or_else(|| format!("{file}#{}", policy.id()), str::to_owned);
        problems.extend(annotations::problems(policy).into_iter().map(|problem| format!("{file}: {name}: {problem}")));
        all.files.insert(PolicyId::new(&name), file.to_owned());
        if all.set.add(policy.new_id(PolicyId::new(&name))).is_err() {
            problems.push(format!("{file}: the @id {name:?} is used twice"));
        }
    }
}

fn validate(policies: &PolicySet, files: &HashMap<PolicyId, String>, problems: &mut Vec<String>) -> Vec<String> {
    let schema = match Schema::from_cedarschema_str(SCHEMA) {
        Ok((schema, _)) => schema,
        Err(error) => {
            problems.push(format!("the built-in schema: {error}"));
            return Vec::new();
        }
    };
    let result = Validator::new(schema).validate(policies, ValidationMode::Strict);
    let file = |id| files.get(id).map_or("*.cedar", String::as_str);
    problems.extend(result.validation_errors().map(|error| format!("{}: {error}", file(error.policy_id()))));
    let mut warnings = Vec::new();
    for warning in result.validation_warnings() {
        let remark = format!("{}: {warning}", file(warning.policy_id()));
        let forbids = policies.policy(warning.policy_id()).is_some_and(|policy| policy.effect() == Effect::Forbid);
        // A forbid that can never apply is a hole in the fence.
        if forbids && matches!(warning, ValidationWarning::ImpossiblePolicy(_)) {
            problems.push(remark);
        } else {
            warnings.push(remark);
        }
    }
    warnings
}
