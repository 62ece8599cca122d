//! Every reply is the expected one, or a fault of that moment explains it.

use super::{Check, Evidence};
use crate::clock::{Micros, SECOND};
use crate::exchanges::{Exchange, Reply};
use crate::lines::Line;
use crate::load::{BLOCKED, Kind, arn};
use crate::world::{Service, Version};
use std::collections::BTreeMap;

/// Seconds after which the function looks for another policy.
pub(super) const POLICY_TTL: Micros = 2;
/// How long a fault may still show in replies: requests that wait for a retry, connections that are broken.
const ECHO: Micros = SECOND / 2;
/// The same for Secrets Manager: the function waits ten seconds after a failure, on top of what a fault lasts.
const SECRET_ECHO: Micros = 12 * SECOND;
/// The same for DynamoDB: an instance that has no answer for a principal yet refuses it while DynamoDB throttles; what was
/// charged twice drains within seconds.
const LIMITER_ECHO: Micros = 5 * SECOND;
/// The same for Parameter Store: three seconds of reload, and the pause after a failure.
const POLICY_ECHO: Micros = 6 * SECOND;

/// Requests with a line and a reply.
fn answered(evidence: &Evidence) -> impl Iterator<Item = (&Line, &Exchange, &Reply)> {
    evidence.lines.iter().filter_map(|line| {
        let exchange = evidence.exchanges.get(&line.number)?;
        Some((line, exchange, exchange.reply.as_ref()?))
    })
}

/// The code of a request of this kind when all services work. The policy of the moment decides about `Toggled`.
fn is_expected(kind: Kind, code: &str) -> bool {
    let expected: &[&str] = match kind {
        Kind::Vend | Kind::OwnDevice | Kind::Profiles | Kind::Explain | Kind::Health => &["OK"],
        Kind::Flood => &["OK", "RATE_LIMITED"],
        Kind::Blocked => &["OK", "CALLER_BLOCKED"],
        Kind::Toggled => &["OK", "POLICY_DENY"],
        Kind::OthersDevice | Kind::UnknownProfile => &["POLICY_DENY"],
        Kind::BadDuration => &["INVALID_DURATION"],
        Kind::NoProfile => &["MISSING_PROFILE"],
        Kind::NoPath => &["NOT_FOUND"],
        Kind::BadMethod => &["METHOD_NOT_ALLOWED"],
        Kind::TooLarge => &["REQUEST_TOO_LARGE"],
        Kind::WrongToken => &["CLIENT_TOKEN_INVALID", "RATE_LIMITED"],
        Kind::Unsigned | Kind::Garbage => &["IAM_AUTH_REQUIRED"],
    };
    expected.contains(&code)
}

/// Whether a fault of that moment explains the code, as docs/configuration.md and docs/api.md say.
fn is_explained(evidence: &Evidence, line: &Line, kind: Kind, reply: &Reply) -> bool {
    let disturbed =
        |service, echo| evidence.is_disturbed(service, line.at.saturating_sub(echo), reply.at);
    let secrets = || disturbed(Service::Secrets, SECRET_ECHO);
    match line.code.as_str() {
        "RATE_LIMITED" => kind != Kind::Health && disturbed(Service::Dynamodb, LIMITER_ECHO),
        "CREDENTIAL_ERROR" => evidence.was_done("refusal", line.at.saturating_sub(ECHO), reply.at),
        "SERVICE_UNAVAILABLE" if line.detail.starts_with("STS is out of reach") => {
            disturbed(Service::Sts, ECHO)
        }
        "SERVICE_UNAVAILABLE" if line.detail.starts_with("the client tokens are out of reach") => {
            secrets()
        }
        "SERVICE_UNAVAILABLE" if line.detail.starts_with("given up shortly") => {
            Service::ALL.into_iter().any(|service| disturbed(service, ECHO))
        }
        "POLICY_DENY" if kind == Kind::OwnDevice && line.posture == "unavailable" => {
            let rotated = "rotation of the client secret";
            disturbed(Service::Mdm, ECHO)
                || secrets()
                || evidence.was_done(rotated, line.at.saturating_sub(3 * SECOND), reply.at)
        }
        _ => false,
    }
}

pub(super) fn explained(evidence: &Evidence) -> Check {
    let (mut problems, mut explained, mut failures) = (Vec::new(), 0_u32, 0_u32);
    for (line, exchange, reply) in answered(evidence) {
        failures += u32::from(line.status >= 500);
        if is_expected(exchange.kind, &line.code) {
            continue;
        }
        explained += 1;
        if !is_explained(evidence, line, exchange.kind, reply) {
            problems.push(format!(
                "request {} of instance {} ({:?}) got {} after {:.1} s of the run: {}",
                line.number,
                line.instance,
                exchange.kind,
                line.code,
                seconds(line.at.saturating_sub(evidence.plan.begin)),
                line.detail
            ));
        }
    }
    let counted = format!("{explained} replies explained by a fault, {failures} of them 5xx");
    Check::of("every reply is expected, or explained by a fault", counted, &problems)
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// A change of the policy takes effect within its TTL, while Parameter Store answers.
pub(super) fn policy_changes(evidence: &Evidence) -> Check {
    let (mut problems, mut decided, mut excused) = (Vec::new(), 0_u32, 0_u32);
    for (line, exchange, reply) in answered(evidence) {
        let permitted = match line.code.as_str() {
            _ if exchange.kind != Kind::Toggled => continue,
            "OK" => Version::Open,
            "POLICY_DENY" => Version::Closed,
            _ => continue,
        };
        decided += 1;
        let oldest = line.at.saturating_sub(POLICY_TTL * SECOND + ECHO);
        if in_force(&evidence.policies, oldest, reply.at).any(|version| version == permitted) {
            continue;
        }
        if evidence.is_disturbed(Service::Parameters, oldest.saturating_sub(POLICY_ECHO), reply.at)
        {
            excused += 1;
        } else {
            problems.push(format!("request {} was decided by an old policy", line.number));
        }
    }
    let counted = format!("{decided} decisions, {excused} by an older policy during a fault");
    Check::of("a change of the policy takes effect within its TTL", counted, &problems)
}

/// The versions that Parameter Store held between the two times.
fn in_force(
    history: &[(Micros, Version)],
    from: Micros,
    to: Micros,
) -> impl Iterator<Item = Version> {
    let ends = history.iter().skip(1).map(|(at, _)| *at).chain([Micros::MAX]);
    let spans = history.iter().zip(ends);
    spans.filter(move |((at, _), end)| *at <= to && from <= *end).map(|((_, version), _)| *version)
}

/// A blocked person gets nothing, from the write that blocks on.
pub(super) fn blocks(evidence: &Evidence) -> Check {
    let blocks: Vec<_> =
        evidence.incidents.iter().filter(|incident| incident.what == "block").collect();
    let blocked = arn(BLOCKED);
    let (mut problems, mut refused) = (Vec::new(), 0_u32);
    for (line, _, reply) in answered(evidence) {
        let is_blocked = |at| blocks.iter().any(|block| (block.from..block.to).contains(&at));
        if line.principal != blocked || !is_blocked(line.at) {
            continue;
        }
        let unknown = line.decided_by == "memory"
            && evidence.is_disturbed(
                Service::Dynamodb,
                line.at.saturating_sub(LIMITER_ECHO),
                reply.at,
            );
        match line.code.as_str() {
            "CALLER_BLOCKED" => refused += 1,
            "RATE_LIMITED" => {}
            _ if unknown => {}
            code => {
                problems.push(format!("request {} of a blocked person got {code}", line.number));
            }
        }
    }
    if refused == 0 {
        problems.push("nobody was refused".to_owned());
    }
    let counted = format!("{} blocks, {refused} requests refused", blocks.len());
    Check::of("a block holds from the next request on", counted, &problems)
}

/// Health answers, whatever fails but the client tokens; and at the end it says that all is well.
pub(super) fn health(evidence: &Evidence) -> Check {
    /// A health request may wait for a reload of the policy, which takes three seconds at most.
    const LONGEST: Micros = 4 * SECOND;
    let mut problems = Vec::new();
    let mut last: BTreeMap<u32, (Micros, &Reply)> = BTreeMap::new();
    let mut count = 0_u32;
    for (line, exchange, reply) in
        answered(evidence).filter(|(_, exchange, _)| exchange.kind == Kind::Health)
    {
        count += 1;
        let took = exchange.handed_out.map_or(Micros::MAX, |(_, at)| reply.at.saturating_sub(at));
        let is_answered = reply.status == 200 || is_explained(evidence, line, exchange.kind, reply);
        if !is_answered || took > LONGEST {
            problems.push(format!(
                "request {}: {} after {:.1} s",
                line.number,
                reply.status,
                seconds(took)
            ));
        }
        let newest = last.entry(line.instance).or_insert((line.at, reply));
        if line.at >= newest.0 {
            *newest = (line.at, reply);
        }
    }
    let said = |instance: u32| {
        let health = last.get(&instance).and_then(|(_, reply)| reply.health.as_ref());
        health.is_some_and(|health| {
            health["rate_limit"]["breaker"] == "closed"
                && health["storage"]["healthy"] == true
                && health["policy"]["stale"] == false
        })
    };
    for instance in evidence.survivors.into_iter().filter(|instance| !said(*instance)) {
        problems.push(format!("instance {instance} does not say that it is well at the end"));
    }
    Check::of(
        "health answers throughout, and says that all is well at the end",
        format!("{count} replies"),
        &problems,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_a_span_are_those_that_it_touches() {
        let history = [(0, Version::Open), (100, Version::Closed), (200, Version::Open)];
        let within = |from, to| in_force(&history, from, to).collect::<Vec<_>>();
        assert_eq!(within(10, 50), [Version::Open]);
        assert_eq!(within(110, 150), [Version::Closed]);
        assert_eq!(within(90, 110), [Version::Open, Version::Closed]);
        assert_eq!(within(300, 400), [Version::Open]);
    }
}
