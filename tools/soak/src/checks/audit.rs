//! One audit line per request, and credentials only for decisions.

use super::{Check, Evidence};
use crate::lines::Line;
use std::collections::{BTreeMap, BTreeSet};

/// Every reply has exactly one line, which says the same. A request without a reply was lost with an instance that was
/// killed; it has one line or none.
pub(super) fn one_line_each(evidence: &Evidence) -> Check {
    let mut lines: BTreeMap<u64, Vec<&Line>> = BTreeMap::new();
    for line in &evidence.lines {
        lines.entry(line.number).or_default().push(line);
    }
    let killed: BTreeSet<u32> = evidence
        .incidents
        .iter()
        .filter(|incident| incident.what == "instance killed")
        .filter_map(|incident| incident.instance)
        .collect();
    let (mut problems, mut lost, mut lost_with_line) = (Vec::new(), 0_u32, 0_u32);
    for (number, exchange) in &evidence.exchanges {
        let lines = lines.remove(number).unwrap_or_default();
        let instance = exchange.handed_out.map(|(instance, _)| instance);
        if lines.iter().any(|line| Some(line.instance) != instance) {
            problems.push(format!("request {number}: a line of another instance"));
        }
        match (&exchange.reply, lines.as_slice()) {
            (Some(reply), [line]) => {
                if (reply.status, &reply.code) != (line.status, &line.code) {
                    problems.push(format!(
                        "request {number}: the reply says {}, the line {}",
                        reply.code, line.code
                    ));
                }
            }
            (None, [] | [_]) if instance.is_some_and(|instance| killed.contains(&instance)) => {
                lost += 1;
                lost_with_line += u32::from(!lines.is_empty());
            }
            (reply, lines) => problems.push(format!(
                "request {number} of instance {instance:?}: {} reply, {} lines",
                if reply.is_some() { "a" } else { "no" },
                lines.len()
            )),
        }
    }
    problems.extend(lines.keys().map(|number| format!("a line of no request: {number}")));
    let counted = format!(
        "{} requests; {lost} lost with {} killed instances, {lost_with_line} of them with a line",
        evidence.exchanges.len(),
        killed.len()
    );
    Check::of("one audit line per request", counted, &problems)
}

/// What STS issued is what a line records and what the caller got.
pub(super) fn credentials(evidence: &Evidence) -> Check {
    let mut problems = Vec::new();
    let mut issued = 0_u32;
    let lines: BTreeMap<u64, &Line> =
        evidence.lines.iter().map(|line| (line.number, line)).collect();
    for (number, line) in &lines {
        let reply = evidence.exchanges.get(number).and_then(|exchange| exchange.reply.as_ref());
        let Some(reply) = reply else { continue };
        if reply.access_key_id != line.access_key_id {
            problems.push(format!("request {number}: another key in the reply than in the line"));
        }
        if reply.access_key_id.is_none() {
            continue;
        }
        issued += 1;
        let known = line
            .session
            .as_ref()
            .is_some_and(|(session, role)| evidence.sessions.get(session) == Some(role));
        if !known {
            problems.push(format!("request {number}: a session that STS did not issue"));
        }
    }
    for session in evidence.sessions.keys() {
        let number = session.rsplit('-').next().and_then(|id| u64::from_str_radix(id, 16).ok());
        let line = number.and_then(|number| lines.get(&number));
        let is_lost = number
            .and_then(|number| evidence.exchanges.get(&number))
            .is_some_and(|exchange| exchange.reply.is_none());
        let is_granted = line.is_some_and(|line| {
            line.session.as_ref().is_some_and(|(granted, _)| granted == session)
        });
        if !is_granted && !is_lost {
            problems.push(format!("STS issued {session} and no line grants it"));
        }
    }
    let counted = format!("{issued} replies with credentials");
    Check::of("each caller gets the credentials that its line records", counted, &problems)
}
