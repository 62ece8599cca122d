//! The requests that the proofs are about, as Cedar expressions.
//!
//! Invariant: every request that the function can evaluate satisfies [`World::facts`], less what
//! [`ASSUMPTIONS`] says. So a proof holds for all of them. The converse is not true: where Cedar cannot
//! express a fact, the world is larger than the truth. A witness comes from the much smaller
//! [`World::concrete`], and is replayed.

use crate::callers::{self, Candidate, quoted};
use crate::json::Mentions;
use policy::Action;
use sentinel_tvm::{Agent, Reason, Ticket};
use std::collections::BTreeSet;
use std::net::IpAddr;
use time::format_description::well_known::Rfc3339;
use time::{Duration, UtcDateTime};

/// What the proofs assume of requests.
pub(crate) const ASSUMPTIONS: [&str; 5] = [
    "The time is from 2024 to 2099. `weekday` is the weekday of `now`. Times are whole seconds.",
    "AWS reports the caller's address, and the caller is of the partition of the profile's role.",
    "Two bundles are compared for sessions of the same length.",
    "Larger than the truth: an address may be a network; names, owners, reasons, tickets and agents may be any text; whether an account, a name and an ARN belong together is known only for the ARNs, accounts and patterns that the policies mention.",
    "Not part of a proof: the rate limit, client tokens, the device check, narrowing the session to the caller, and what the role itself permits.",
];

/// Attributes that no policy can read, because the function's schema does not have them. With them, the
/// world says "there is a number such that …", which Cedar cannot.
pub(crate) const AUXILIARY: [&str; 5] = [NOW, WEEK, LAST_SEEN, APPROVED, BEGAN];
pub(crate) const NOW: &str = "proof_now";
pub(crate) const LAST_SEEN: &str = "proof_last_seen";
pub(crate) const APPROVED: &str = "proof_approved";
pub(crate) const BEGAN: &str = "proof_began";
const WEEK: &str = "proof_week";

/// The requests for an action on a profile.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) action: Action,
    pub(crate) profile: &'a str,
    /// The longest session, in seconds.
    pub(crate) longest: i64,
    pub(crate) partitions: BTreeSet<String>,
    /// The names of groups that the profile is in.
    pub(crate) groups: BTreeSet<String>,
    /// The names of the scopes that the profile has.
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) mentions: &'a Mentions,
}

impl World<'_> {
    /// What is true of every request, as one expression.
    pub(crate) fn facts(&self) -> String {
        let mut facts = vec![format!("resource == Sentinel::Profile::{}", quoted(self.profile))];
        let known = self.mentions.groups.iter().chain(&self.groups).collect::<BTreeSet<_>>();
        facts.extend(known.into_iter().map(|group| {
            let within = format!("resource in Sentinel::ProfileGroup::{}", quoted(group));
            if self.groups.contains(group) { within } else { format!("!({within})") }
        }));
        // Weekdays and whole seconds are in `exact`.
        facts.push(
            "context.now >= datetime(\"2024-01-01\") && context.now < datetime(\"2100-01-01\")"
                .to_owned(),
        );
        facts.push("context.weekday >= 1 && context.weekday <= 7".to_owned());
        facts.extend(callers::facts("principal", &self.partitions, self.mentions));
        match self.action {
            Action::Vend => {
                facts.extend(vend(self.longest));
                facts.extend(self.absent());
                let scopes = self.scopes.iter().map(String::as_str);
                facts.push(optional("context", "scope", &either("context.scope", scopes)));
            }
            Action::Approve => facts.extend(self.approve()),
        }
        joined(&facts, " && ")
    }

    /// That what no policy reads is not there. It changes no decision, and makes a question easier.
    fn absent(&self) -> impl Iterator<Item = String> {
        let optional = [
            ("context", "approval"),
            ("context", "emergency"),
            ("context", "scope"),
            ("context.claimed", "reason"),
            ("context.claimed", "ticket"),
            ("context.claimed", "agent"),
        ];
        let mentions = self.mentions;
        let is_read =
            move |attribute| mentions.whole_context || mentions.attributes.contains(attribute);
        let claimed = is_read("claimed");
        let absent = optional.into_iter().filter(move |(of, attribute)| {
            !is_read(*attribute) || (*of == "context.claimed" && !claimed)
        });
        absent.map(|(of, attribute)| format!("!({of} has {attribute})"))
    }

    /// What is also true of every request, but makes a question hard: the weekday is that of the time, and
    /// times are whole seconds.
    pub(crate) fn exact(&self) -> String {
        let facts = [
            format!("context.{WEEK} >= 0 && context.{WEEK} <= 10000"),
            // 5 January 1970 was a Monday.
            format!(
                "context.now.toDate().durationSince(datetime(\"1970-01-05\")).toDays() == context.{WEEK} * 7 + context.weekday - 1"
            ),
            self.seconds(),
        ];
        joined(&facts, " && ")
    }

    /// That times are whole seconds: those of the auxiliary attributes.
    fn seconds(&self) -> String {
        let now = seconds("context.now", NOW);
        match self.action {
            Action::Approve => now,
            Action::Vend => joined(
                &[
                    now,
                    given(
                        "context has device",
                        &optional(
                            "context.device",
                            "last_seen",
                            &seconds("context.device.last_seen", LAST_SEEN),
                        ),
                    ),
                    given(
                        "context has approval",
                        &seconds("context.approval.approved_at", APPROVED),
                    ),
                    given("context has emergency", &seconds("context.emergency.began_at", BEGAN)),
                ],
                " && ",
            ),
        }
    }

    /// That everything free is one of a few realistic values.
    pub(crate) fn concrete(&self, candidates: &[Candidate]) -> String {
        let texts: BTreeSet<String> = self.texts();
        let orgs = texts.iter().filter(|text| text.starts_with("o-")).map(String::as_str);
        let orgs = either("principal.org", orgs.chain(["o-exampleorgid"]));
        let unique =
            texts.iter().filter(|text| text.starts_with("AROA") || text.starts_with("AIDA"));
        let unique = either("principal.unique_id", unique.map(String::as_str));
        let mut facts = vec![
            any(candidates, |candidate| candidate.is("principal")),
            optional("principal", "org", &orgs),
            optional("principal", "unique_id", &unique),
            self.addresses(),
            self.weeks(),
            self.seconds(),
        ];
        let reasons = |of: &str| {
            let known = texts.iter().filter(|text| Reason::parse(text).is_some());
            either(of, known.map(String::as_str).chain(["an outage"]))
        };
        let long_reasons = |of: &str| {
            let known = texts.iter().filter(|text| {
                Reason::parse(text).is_some_and(|reason| reason.as_str().chars().count() >= 20)
            });
            either(of, known.map(String::as_str).chain(["the database is on fire"]))
        };
        let tickets = |of: &str| {
            let known = texts.iter().filter(|text| Ticket::parse(text).is_some());
            either(of, known.map(String::as_str).chain(["INC-1"]))
        };
        let people: Vec<Candidate> =
            candidates.iter().filter(|candidate| candidate.is_person()).cloned().collect();
        match self.action {
            Action::Vend => {
                let names = texts.iter().map(String::as_str).chain(["somebody@example.com"]);
                let by = people.iter().map(Candidate::principal);
                let owner = format!(
                    "(context.device.owner == principal.name || {})",
                    either("context.device.owner", names)
                );
                let versions = texts.iter().map(String::as_str).chain(["15.1"]);
                let device = [
                    optional("context.device", "owner", &owner),
                    optional(
                        "context.device",
                        "os_version",
                        &either("context.device.os_version", versions),
                    ),
                ];
                facts.push(given("context has device", &joined(&device, " && ")));
                let approval = [
                    either("context.approval.by", by),
                    reasons("context.approval.reason"),
                    optional("context.approval", "ticket", &tickets("context.approval.ticket")),
                ];
                facts.push(given("context has approval", &joined(&approval, " && ")));
                let emergency = [
                    long_reasons("context.emergency.reason"),
                    optional("context.emergency", "ticket", &tickets("context.emergency.ticket")),
                ];
                facts.push(given("context has emergency", &joined(&emergency, " && ")));
                let agents = texts.iter().filter(|text| Agent::parse(text).is_some());
                let agents = agents.map(String::as_str).chain(["pipeline"]);
                facts.extend([
                    optional("context.claimed", "reason", &reasons("context.claimed.reason")),
                    optional("context.claimed", "ticket", &tickets("context.claimed.ticket")),
                    optional("context.claimed", "agent", &either("context.claimed.agent", agents)),
                ]);
            }
            Action::Approve => {
                facts.push(any(&people, |requester| {
                    let alike =
                        people.iter().filter(|other| other.local_name() == requester.local_name());
                    let another =
                        alike.map(|other| format!("principal.name != {:?}", other.name()));
                    let is = std::iter::once(requester.is("context.requester")).chain(another);
                    format!("({})", joined(&is.collect::<Vec<_>>(), " && "))
                }));
                facts.push(
                    "!(context.requester has org) && !(context.requester has unique_id)".to_owned(),
                );
                facts.push(reasons("context.reason"));
                facts.push(optional("context", "ticket", &tickets("context.ticket")));
            }
        }
        joined(&facts, " && ")
    }

    /// What is usual, but need not be: devices, approvals and emergencies have no times in the future.
    pub(crate) fn usual(&self) -> String {
        let past = |of: &str, time: &str| {
            given(
                &format!("context has {of}"),
                &optional(
                    &format!("context.{of}"),
                    time,
                    &format!("context.{of}.{time} <= context.now"),
                ),
            )
        };
        match self.action {
            Action::Vend => {
                let times = [
                    ("device", "last_seen"),
                    ("approval", "approved_at"),
                    ("emergency", "began_at"),
                ];
                joined(&times.map(|(of, time)| past(of, time)), " && ")
            }
            Action::Approve => "context.duration <= 3600".to_owned(),
        }
    }

    /// Strings that the policies compare with, and some that match their patterns.
    fn texts(&self) -> BTreeSet<String> {
        let filled = self.mentions.patterns.iter().map(|pieces| pieces.join("1"));
        let all = self.mentions.texts.iter().cloned().chain(filled);
        all.filter(|text| !text.is_empty() && !text.starts_with("arn:")).collect()
    }

    /// That the time is in one of some weeks, and the weekday is that of the time: the first week of March
    /// 2026, and those around the times that the policies mention.
    fn weeks(&self) -> String {
        let mentioned = self.mentions.times.iter().filter_map(|text| {
            let date = format!("{}T00:00:00Z", text.get(..10)?);
            UtcDateTime::parse(&date, &Rfc3339).ok()
        });
        let all = mentioned.filter(|time| (2024..2100).contains(&time.year()));
        let first =
            UtcDateTime::from_unix_timestamp(1_772_452_800).unwrap_or(UtcDateTime::UNIX_EPOCH);
        let starts: BTreeSet<UtcDateTime> = all.chain([first]).collect();
        let day = |time: UtcDateTime| {
            let (from, to) = (time.date(), (time + Duration::DAY).date());
            let weekday = time.weekday().number_from_monday();
            format!(
                "(context.now >= datetime(\"{from}\") && context.now < datetime(\"{to}\") && context.weekday == {weekday})"
            )
        };
        let days =
            starts.iter().flat_map(|start| (-1..7).map(|days| day(*start + Duration::days(days))));
        joined(&days.collect::<Vec<_>>(), " || ")
    }

    fn addresses(&self) -> String {
        let bases = self.mentions.addresses.iter().filter_map(|text| text.split('/').next());
        let all = bases.chain(["198.51.100.7", "2001:db8::7"]);
        let single = all.filter(|text| text.parse::<IpAddr>().is_ok());
        let is = single.map(|text| format!("context.source_ip == ip(\"{text}\")"));
        joined(&is.collect::<Vec<_>>(), " || ")
    }

    fn approve(&self) -> Vec<String> {
        let person = |of: &str| format!("({of}.kind == \"user\" || {of} has session_name)");
        let mut facts = callers::facts("context.requester", &self.partitions, self.mentions);
        facts.extend([
            person("principal"),
            person("context.requester"),
            "principal.arn != context.requester.arn".to_owned(),
            "principal.name != context.requester.name".to_owned(),
            "!(context has device) && !(context has approval) && !(context has emergency)".to_owned(),
            "!(context has scope)".to_owned(),
            "!(context.claimed has reason) && !(context.claimed has ticket) && !(context.claimed has agent)".to_owned(),
            "context.reason != \"\"".to_owned(),
            "context.duration >= 900 && context.duration <= 129600".to_owned(),
        ]);
        facts
    }
}

/// That a time is a whole number of seconds: that of an auxiliary attribute.
fn seconds(time: &str, auxiliary: &str) -> String {
    format!(
        "context.{auxiliary} >= -62200000000 && context.{auxiliary} <= 253500000000 && \
         {time}.durationSince(datetime(\"1970-01-01\")).toMilliseconds() == context.{auxiliary} * 1000"
    )
}

fn vend(longest: i64) -> Vec<String> {
    // What RFC 3339 can say.
    let years = |time: &str| {
        format!(
            "{time} >= datetime(\"0000-01-01\") && {time} <= datetime(\"9999-12-31T23:59:59Z\")"
        )
    };
    let seen = "context.device.last_seen";
    let seen = years(seen);
    let device = [
        either("context.device.provider", ["intune", "jamf", "kandji"]),
        optional("context.device", "last_seen", &seen),
    ];
    // An approval ends eight hours after it was given, and shortens the session.
    let approval = [
        "context.approval.approved_at >= datetime(\"2023-01-01\")".to_owned(),
        "context.approval.approved_at <= datetime(\"2100-01-02\")".to_owned(),
        "context.approval.expires_at == context.approval.approved_at.offset(duration(\"8h\"))"
            .to_owned(),
        "context.now < context.approval.expires_at".to_owned(),
        "context.approval.by != principal.arn".to_owned(),
        "context.approval.reason != \"\"".to_owned(),
        "context.duration <= context.approval.duration".to_owned(),
        "context.approval.duration <= 129600".to_owned(),
    ];
    // An emergency lasts four hours. In the last 15 minutes it counts no more.
    let emergency = [
        "context.emergency.began_at >= datetime(\"2023-01-01\")".to_owned(),
        "context.emergency.began_at <= datetime(\"2100-01-02\")".to_owned(),
        "context.emergency.ends_at == context.emergency.began_at.offset(duration(\"4h\"))"
            .to_owned(),
        "context.now.offset(duration(\"15m\")) <= context.emergency.ends_at".to_owned(),
        "context.emergency.reason != \"\"".to_owned(),
    ];
    let claimed = ["reason", "ticket", "agent"]
        .map(|it| optional("context.claimed", it, &format!("context.claimed.{it} != \"\"")));
    vec![
        format!("context.duration >= 900 && context.duration <= {longest}"),
        given("context has device", &joined(&device, " && ")),
        given("context has approval", &joined(&approval, " && ")),
        given("context has emergency", &joined(&emergency, " && ")),
        joined(&claimed, " && "),
    ]
}

/// Cedar's typechecker knows after `if … has …`, but not after `!(… has …) ||`, that an attribute is there.
fn given(condition: &str, then: &str) -> String {
    format!("(if {condition} then {then} else true)")
}

fn optional(of: &str, attribute: &str, then: &str) -> String {
    given(&format!("{of} has {attribute}"), then)
}

fn either<'a>(of: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let values: BTreeSet<&str> = values.into_iter().collect();
    let is = values.into_iter().map(|value| format!("{of} == {}", quoted(value)));
    joined(&is.collect::<Vec<_>>(), " || ")
}

fn any(candidates: &[Candidate], is: impl Fn(&Candidate) -> String) -> String {
    joined(&candidates.iter().map(is).collect::<Vec<_>>(), " || ")
}

/// All in brackets. Of no expression at all, there is none that is true.
fn joined(expressions: &[String], operator: &str) -> String {
    match expressions {
        [] => "(false)".to_owned(),
        _ => format!("({})", expressions.join(operator)),
    }
}
