//! Callers: what is true of every caller, and concrete ones for witnesses.
//!
//! Cedar's strings know `==` and `like` alone. So the relation between a caller's ARN and its other
//! attributes is told for the ARNs, accounts and patterns that the policies mention: no policy can
//! see a difference between the others.

use crate::bundle::Bundle;
use crate::json::Mentions;
use sentinel_tvm::Caller;
use std::collections::{BTreeMap, BTreeSet};

/// Cedar's form of a string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                quoted.extend([format!("\\u{{{:x}}}", u32::from(character))]);
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` in a pattern of `like`, where a star is a star.
fn literal(text: &str) -> String {
    let quoted = quoted(text).replace('*', "\\*");
    quoted[1..quoted.len() - 1].to_owned()
}

fn like(attribute: &str, pattern: &str) -> String {
    format!("({attribute} like \"{pattern}\")")
}

/// What is true of every caller (`of` is `principal` or `context.requester`) of one of these
/// partitions, one expression each.
pub(crate) fn facts(of: &str, partitions: &BTreeSet<String>, mentions: &Mentions) -> Vec<String> {
    let mut facts = vec![kinds(of, partitions)];
    let arn = format!("{of}.arn");
    for Beginning { text, account, kind, role } in beginnings(mentions) {
        let starts = |text: &str| like(&arn, &format!("{}*", literal(text)));
        let is = format!("{of}.account == {}", quoted(&account));
        facts.push(format!("(!{} || {is})", starts(&text)));
        if let Some((text, kind)) = kind {
            facts.push(format!("(!{} || {of}.kind == \"{kind}\")", starts(&text)));
        }
        if let Some(text) = role {
            facts.push(format!("(!{} || {of} has session_name)", starts(&text)));
        }
    }
    for account in accounts(mentions) {
        let within = like(&arn, &format!("arn:*:*::{}:*", literal(&account)));
        facts.push(format!("({of}.account != {} || {within})", quoted(&account)));
    }
    if of == "principal" {
        for id in &mentions.callers {
            let (is, id) = (format!("principal == Sentinel::Caller::{}", quoted(id)), quoted(id));
            facts.push(format!("(if {is} then {arn} == {id} else {arn} != {id})"));
        }
    }
    facts
}

fn kinds(of: &str, partitions: &BTreeSet<String>) -> String {
    let any = |rest: &str| {
        let patterns = partitions.iter().map(|partition| {
            like(&format!("{of}.arn"), &format!("arn:{}:{rest}", literal(partition)))
        });
        format!("({})", patterns.collect::<Vec<_>>().join(" || "))
    };
    let kind = |kind: &str, rest: &str, more: &str| {
        format!("({of}.kind == \"{kind}\" && {} && {more})", any(rest))
    };
    let nobody = format!("!({of} has session_name)");
    let session = format!(
        "(if {of} has session_name then {of}.session_name == {of}.name && {0} else !{0})",
        any("sts::*:assumed-role/*/*")
    );
    let kinds = [
        kind("user", "iam::*:user/*", &nobody),
        kind("root", "iam::*:root", &format!("{of}.name == \"root\" && {nobody}")),
        kind(
            "federated-user",
            "sts::*:federated-user",
            &format!("{of}.name == \"federated-user\" && {nobody}"),
        ),
        kind("assumed-role", "sts::*:assumed-role/*", &session),
    ];
    format!("({})", kinds.join(" || "))
}

/// What the beginning of an ARN determines.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Beginning {
    /// Up to the account and its colon.
    text: String,
    account: String,
    /// Up to the kind and its slash, and the kind.
    kind: Option<(String, &'static str)>,
    /// Up to a role and its slash: what follows is the session's name.
    role: Option<String>,
}

impl Beginning {
    fn of(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, service, "", account, rest] = parts[..] else { return None };
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let text = format!("arn:{partition}:{service}::{account}:");
        let kind = match (service, rest.split_once('/')) {
            ("iam", Some(("user", _))) => Some((format!("{text}user/"), "user")),
            ("sts", Some(("assumed-role", _))) => {
                Some((format!("{text}assumed-role/"), "assumed-role"))
            }
            _ => None,
        };
        let session_of = rest.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/'));
        let role = session_of.filter(|_| service == "sts");
        let role = role.map(|(role, _)| format!("{text}assumed-role/{role}/"));
        Some(Self { text, account: account.to_owned(), kind, role })
    }
}

/// The beginnings of the ARNs that the policies mention.
fn beginnings(mentions: &Mentions) -> BTreeSet<Beginning> {
    let whole = mentions.texts.iter().chain(&mentions.callers).map(String::as_str);
    let beginnings = mentions.patterns.iter().filter_map(|pieces| pieces.first());
    whole.chain(beginnings.map(String::as_str)).filter_map(Beginning::of).collect()
}

fn accounts(mentions: &Mentions) -> BTreeSet<String> {
    let plain = mentions.texts.iter().map(|text| format!("arn:aws:iam::{text}:"));
    let plain = plain.filter_map(|arn| Beginning::of(&arn));
    plain.chain(beginnings(mentions)).map(|beginning| beginning.account).collect()
}

/// A concrete caller.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The whole ARN, with the session's name.
    pub(crate) arn: String,
    caller: Caller,
}

impl Candidate {
    pub(crate) fn principal(&self) -> &str {
        self.caller.principal().as_str()
    }

    pub(crate) fn is_person(&self) -> bool {
        sentinel_tvm::is_person(&self.caller)
    }

    /// The name as far as the function compares it: two people of one such name could be the same.
    pub(crate) fn local_name(&self) -> String {
        self.name().split('@').next().unwrap_or_default().to_lowercase()
    }

    pub(crate) fn name(&self) -> &str {
        self.caller.name()
    }

    /// That `of` is this caller.
    pub(crate) fn is(&self, of: &str) -> String {
        let (caller, principal) = (&self.caller, quoted(self.principal()));
        let session = match caller.session_name() {
            Some(name) => format!("{of} has session_name && {of}.session_name == {}", quoted(name)),
            None => format!("!({of} has session_name)"),
        };
        format!(
            "({of}.arn == {principal} && {of}.account == {} && {of}.name == {} && {of}.kind == {} && {session})",
            quoted(caller.account()),
            quoted(caller.name()),
            quoted(caller.kind().name()),
        )
    }
}

/// Callers that the policies could tell apart: those that they and the expectations mention, those
/// that match a pattern, and some others.
pub(crate) fn candidates(
    mentions: &Mentions,
    partitions: &BTreeSet<String>,
    bundles: &[&Bundle],
) -> Vec<Candidate> {
    let is_caller = |arn: &String| verified(bundles, arn).is_some();
    let filled = mentions.patterns.iter().filter_map(|pieces| {
        let fillers = ["ann@example.com", "ann", "0123456789abcdef"];
        fillers.map(|filler| pieces.join(filler)).into_iter().find(is_caller)
    });
    let mut arns: Vec<String> = filled.collect();
    arns.extend(mentions.texts.iter().chain(&mentions.callers).cloned());
    arns.extend(bundles.iter().flat_map(|bundle| bundle.expectations.callers()).map(str::to_owned));
    for account in accounts(mentions).into_iter().chain(["999999999999".to_owned()]) {
        for partition in partitions {
            let (iam, sts) = (
                format!("arn:{partition}:iam::{account}"),
                format!("arn:{partition}:sts::{account}"),
            );
            arns.extend([
                format!("{iam}:user/bob"),
                format!("{iam}:root"),
                format!("{sts}:assumed-role/other/session"),
                format!(
                    "{sts}:assumed-role/AWSReservedSSO_Other_0123456789abcdef/carol@example.com"
                ),
            ]);
        }
    }
    let mut candidates: BTreeMap<String, Candidate> = BTreeMap::new();
    for candidate in arns.iter().filter_map(|arn| verified(bundles, arn)) {
        candidates.entry(candidate.principal().to_owned()).or_insert(candidate);
    }
    candidates.into_values().collect()
}

/// The caller with this ARN, which may lack the session's name.
fn verified(bundles: &[&Bundle], arn: &str) -> Option<Candidate> {
    let expectations = &bundles.last()?.expectations;
    [arn.to_owned(), format!("{arn}/session")].into_iter().find_map(|arn| {
        let caller = expectations.caller(&arn).ok()?;
        Some(Candidate { arn, caller })
    })
}
