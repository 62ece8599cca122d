//! Reading and checking a policy bundle, as a whole or not at all.

use super::catalogue::{self, Catalogue};
use super::files::located;
use super::mentions::Mentions;
use super::patterns;
use super::references::{self, DanglingReference};
use super::rules::{Rules, policy_name};
use super::{BundleFiles, annotations, claimed_only};
use crate::caller::NamedSessionRoles;
use cedar_policy::{
    Effect, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::LazyLock;

/// Checks policies against the schema that every policy must satisfy. Inside the program, so that a
/// changed bundle cannot loosen it. `schema.json` is `policy/sentinel.cedarschema` in the form that
/// Cedar reads without its parser, which would take a third of a start.
static VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(|| {
    Schema::from_json_str(include_str!("schema.json"))
        .map(Validator::new)
        .map_err(|error| error.to_string())
});

/// The deepest nesting of brackets. Cedar's parser needs a few kilobytes of stack for each level.
const MOST_NESTED: usize = 64;

#[derive(Debug)]
pub(super) struct Bundle {
    /// The digest of its files.
    pub(super) digest: String,
    pub(super) catalogue: Catalogue,
    /// The enforced policies.
    pub(super) rules: Rules,
    /// The enforced policies and those in shadow mode, if there are any of the latter.
    pub(super) with_shadow: Option<Rules>,
    /// The enforced policies that decide who may approve.
    pub(super) approving: Rules,
    pub(super) mentions: Mentions,
    pub(super) warnings: Vec<String>,
}

/// Every problem of a bundle, beginning with the file's name and the place in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct BundleError(pub Vec<String>);

impl Bundle {
    pub(super) fn parse(
        text: &BundleFiles,
        named: &NamedSessionRoles,
    ) -> Result<Self, BundleError> {
        let mut problems = Vec::new();
        let catalogue = catalogue::parse(text.catalogue()).unwrap_or_else(|found| {
            problems.extend(found);
            Catalogue::new()
        });
        let policies = parse_policies(text, &mut problems);
        let mut warnings = validate(&policies, &mut problems);
        // Without a catalogue, every reference would seem to be a mistake.
        let dangling = if catalogue.is_empty() {
            Vec::new()
        } else {
            references::dangling(&policies.set, &catalogue, named)
        };
        for DanglingReference { policy, literal, problem } in dangling {
            let remark = policies.at_literal(policy.id(), &literal, &problem);
            match policy.effect() {
                Effect::Forbid => problems.push(remark),
                Effect::Permit => warnings.push(remark),
            }
        }
        warnings.extend(
            text.policies().flat_map(|(file, text)| patterns::wide_permission_sets(file, text)),
        );
        let claimed =
            policies.set.policies().filter(|policy| claimed_only::rests_on_claims(policy));
        warnings.extend(claimed.map(|policy| {
            policies.at_literal(policy.id(), "context.claimed", "permits whoever makes this claim, which nobody verifies: it looks at neither the principal, the address, the device, an approval nor an emergency")
        }));
        let policies = policies.set;
        if !problems.is_empty() {
            return Err(BundleError(problems));
        }
        warnings.extend(references::unused_groups(&policies, &catalogue));
        let has_shadow = policies.policies().any(annotations::is_shadow);
        let enforced = annotations::enforced(&policies);
        Ok(Self {
            digest: text.digest().to_owned(),
            mentions: Mentions::of(&policies, &catalogue),
            catalogue,
            approving: Rules::new(annotations::naming_their_action(&enforced)),
            rules: Rules::new(enforced),
            with_shadow: has_shadow.then(|| Rules::new(policies)),
            warnings,
        })
    }
}

/// All policies, and for each the name and text of its file.
#[derive(Default)]
struct Policies<'a> {
    set: PolicySet,
    files: HashMap<PolicyId, (&'a str, &'a str)>,
}

impl Policies<'_> {
    /// A problem of a policy, located at the first `literal` in its file, after the policy's own
    /// `@id` if it has one.
    fn at_literal(&self, policy: &PolicyId, literal: &str, problem: &str) -> String {
        let (file, text) = self.file(policy);
        let name = policy_name(policy);
        let start = text.find(&format!("@id({name:?})")).unwrap_or_default();
        let after = text[start..].find(literal).map(|offset| start + offset);
        located(
            file,
            text,
            after.or_else(|| text.find(literal)).unwrap_or(start),
            &format!("{name}: {problem}"),
        )
    }

    /// Cedar's own message about a policy, at the place that Cedar reports.
    fn at_label(&self, policy: &PolicyId, error: &impl Diagnostic) -> String {
        let (file, text) = self.file(policy);
        labelled(file, text, error)
    }

    fn file(&self, policy: &PolicyId) -> (&str, &str) {
        self.files.get(policy).copied().unwrap_or(("*.cedar", ""))
    }
}

fn parse_policies<'a>(text: &'a BundleFiles, problems: &mut Vec<String>) -> Policies<'a> {
    let mut all = Policies::default();
    for (file, text) in text.policies() {
        if let Some(offset) = too_deep(text) {
            problems.push(located(
                file,
                text,
                offset,
                &format!("brackets are nested deeper than {MOST_NESTED}"),
            ));
            continue;
        }
        match PolicySet::from_str(text) {
            Ok(set) => collect(file, text, &set, &mut all, problems),
            Err(errors) => problems.extend(errors.iter().map(|error| labelled(file, text, error))),
        }
    }
    if all.set.is_empty() && problems.is_empty() {
        problems.push("*.cedar: there is no policy, so nothing could ever be vended".to_owned());
    }
    all
}

/// The place where a policy is nested deeper than people write. Brackets in comments and strings
/// count, too.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(offset, character)| {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => depth = 0,
            _ => {}
        }
        (depth > MOST_NESTED).then_some(offset)
    })
}

/// An error with its place and help.
fn labelled(file: &str, text: &str, error: &impl Diagnostic) -> String {
    let offset =
        error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    located(file, text, offset, &format!("{error}{help}"))
}

fn collect<'a>(
    file: &'a str,
    text: &'a str,
    set: &PolicySet,
    all: &mut Policies<'a>,
    problems: &mut Vec<String>,
) {
    if set.templates().next().is_some() {
        let slot = text.find("?principal").or_else(|| text.find("?resource")).unwrap_or_default();
        problems.push(located(
            file,
            text,
            slot,
            "policy templates (?principal, ?resource) are not supported",
        ));
    }
    for policy in set.policies() {
        let name = annotations::value(policy, "id")
            .map_or_else(|| format!("{file}#{}", policy.id()), str::to_owned);
        let id = PolicyId::new(&name);
        let known = all.files.insert(id.clone(), (file, text)).is_some();
        for (key, problem) in annotations::problems(policy) {
            problems.push(all.at_literal(&id, &format!("@{key}"), &problem));
        }
        if known || all.set.add(policy.new_id(id.clone())).is_err() {
            problems.push(all.at_literal(&id, &format!("{name:?}"), "this @id is used twice"));
        }
    }
}

fn validate(policies: &Policies<'_>, problems: &mut Vec<String>) -> Vec<String> {
    let validator = match &*VALIDATOR {
        Ok(validator) => validator,
        Err(error) => {
            problems.push(format!("the built-in schema: {error}"));
            return Vec::new();
        }
    };
    let result = validator.validate(&policies.set, ValidationMode::Strict);
    problems.extend(
        result.validation_errors().map(|error| policies.at_label(error.policy_id(), error)),
    );
    let mut warnings = Vec::new();
    for warning in result.validation_warnings() {
        let remark = policies.at_label(warning.policy_id(), warning);
        let forbids = policies
            .set
            .policy(warning.policy_id())
            .is_some_and(|policy| policy.effect() == Effect::Forbid);
        // A forbid that can never apply is a hole in the fence.
        if forbids && matches!(warning, ValidationWarning::ImpossiblePolicy(_)) {
            problems.push(remark);
        } else {
            warnings.push(remark);
        }
    }
    warnings
}
