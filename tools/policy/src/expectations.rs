//! `tests.toml`: the decisions that a bundle is expected to make.
//!
//! ```toml
//! named_session_roles = "AWSReservedSSO_*"   # as the function has them; these are the defaults
//! default_duration = 900
//! account = "123456789012"                   # the function's own; by default that of each caller
//!
//! [[test]]
//! name = "operators get production on a working day"
//! caller = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Operator_0123456789abcdef/ann@example.com"
//! profile = "production"
//! now = 2026-03-02T12:00:00Z                  # the default, a Monday
//! source_ip = "198.51.100.7"                  # optional, and so are org, unique_id and duration
//! device = { owner = "ann@example.com", last_seen = 2026-03-02T11:00:00Z }
//! approval = { by = "arn:aws:iam::123456789012:user/bob", reason = "an outage" }   # optional
//! emergency = { reason = "the database is on fire" }   # optional: what the caller took
//! scope = "read-only"                                  # optional: the scope that is asked for
//! claimed = { reason = "…", ticket = "…", agent = "…" } # optional, and so is each of them
//! breaks_glass = { reason = "…" }                      # instead of credentials
//! approves = { requester = "arn:aws:iam::123456789012:user/bob", reason = "…" }    # instead of credentials
//! expect = "allow"                            # or "deny"
//! rules = ["operators-may-operate"]           # optional: exactly these decide
//! reason = "…"                                # optional: the public reason of a "deny"
//! seconds = 900                               # optional, for an "allow": the session's length
//! tags = { Team = "blue" }                    # optional, for an "allow": these among others
//! session_policy = "bucket/ann"               # optional, for an "allow": a part of its text
//!
//! [[invariant]]
//! name = "production only from a managed device"
//! action = "vend"                             # the default; or "approve"
//! profiles = ["production"]                   # optional, and so is groups; by default every profile
//! requires = "context has device && context.device.managed"
//! ```

use crate::invariants::Invariant;
use sentinel_tvm::{
    AccessDraft, AccessRequest, Agent, Approval, Approved, BundleError, BundleOptions,
    CLAIM_WINDOW, Caller, Claims, Decision, Device, Emergency, Facts, Grant, IamIdentity,
    NamedSessionRoles, Policy, ProfileName, Reason, RequestId, ScopeName, SessionDuration, Ticket,
    VendRequest, is_person,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// All expectations and invariants of a bundle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default)]
    named_session_roles: Option<String>,
    /// The function's own account.
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    default_duration: Option<u32>,
    #[serde(default, rename = "test")]
    tests: Vec<Expectation>,
    /// What every grant must satisfy.
    #[serde(default, rename = "invariant")]
    pub invariants: Vec<Invariant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    name: String,
    caller: String,
    org: Option<String>,
    unique_id: Option<String>,
    source_ip: Option<String>,
    profile: String,
    duration: Option<u32>,
    now: Option<toml::value::Datetime>,
    device: Option<DeviceToml>,
    approval: Option<ApprovalToml>,
    approves: Option<ApprovesToml>,
    emergency: Option<EmergencyToml>,
    scope: Option<String>,
    claimed: Option<ClaimedToml>,
    breaks_glass: Option<EmergencyToml>,
    expect: Outcome,
    rules: Option<Vec<String>>,
    reason: Option<String>,
    seconds: Option<u32>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    session_policy: Option<String>,
}

/// The expected outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Credentials, or the right to approve.
    Allow,
    /// Neither.
    Deny,
}

/// A device: managed and compliant, unless the keys say otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceToml {
    managed: Option<bool>,
    compliant: Option<bool>,
    owner: Option<String>,
    last_seen: Option<toml::value::Datetime>,
    os_version: Option<String>,
    provider: Option<String>,
}

/// What somebody has approved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalToml {
    by: String,
    reason: String,
    ticket: Option<String>,
    duration: Option<u32>,
    approved_at: Option<toml::value::Datetime>,
}

/// A request that the caller decides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovesToml {
    requester: String,
    reason: String,
    ticket: Option<String>,
}

/// An emergency that the caller took, or takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmergencyToml {
    reason: String,
    ticket: Option<String>,
    began_at: Option<toml::value::Datetime>,
}

/// What the caller says about the request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimedToml {
    reason: Option<String>,
    ticket: Option<String>,
    agent: Option<String>,
}

/// The result of an expectation.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// As expected.
    Passed,
    /// Holds the difference.
    Failed(String),
}

impl Expectations {
    /// Parses the text of `tests.toml`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed: Self = toml::from_str(text)
            .map_err(|error| BundleError::of_toml("tests.toml", text, &error).to_string())?;
        let roles = parsed.named_session_roles.as_deref().map(NamedSessionRoles::parse).transpose();
        roles.map_err(|error| format!("tests.toml: named_session_roles {error}"))?;
        if parsed.default_duration.is_some_and(|seconds| !(900..=3_600).contains(&seconds)) {
            return Err("tests.toml: default_duration is not from 900 to 3600".to_owned());
        }
        match parsed.tests.iter().find_map(|test| Some((test, test.without_effect()?))) {
            Some((flawed, problem)) => Err(format!("tests.toml: {:?}: {problem}", flawed.name)),
            None => Ok(parsed),
        }
    }

    /// The expectations of another text, with the settings of this one.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn with_settings_of(text: &str, settings: &Self) -> Result<Self, String> {
        Ok(Self {
            named_session_roles: settings.named_session_roles.clone(),
            account: settings.account.clone(),
            default_duration: settings.default_duration,
            ..Self::parse(text)?
        })
    }

    /// The options that the bundle is loaded with.
    pub fn options(&self) -> BundleOptions {
        BundleOptions {
            default_duration: self
                .default_duration
                .and_then(SessionDuration::from_seconds)
                .unwrap_or(SessionDuration::MIN),
            named_session_roles: self.roles(),
        }
    }

    /// Each expectation's name, and its result with `policy`.
    pub fn run(&self, policy: &Policy) -> impl Iterator<Item = (&str, Check)> {
        let roles = self.roles();
        self.tests.iter().map(move |test| {
            let account = self.account.as_deref();
            let result = match (&test.approves, &test.breaks_glass) {
                (Some(_), Some(_)) => Err("both approves and breaks_glass".to_owned()),
                (Some(asked), None) => test.compare_approval(asked, policy, &roles, account),
                (None, Some(taken)) => test.compare_emergency(taken, policy, &roles, account),
                (None, None) => {
                    test.decide(policy, &roles, account).and_then(|decision| test.compare(decision))
                }
            };
            (test.name.as_str(), result.map_or_else(Check::Failed, |()| Check::Passed))
        })
    }

    /// The callers of the expectations, as ARNs.
    pub fn callers(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().map(|test| test.caller.as_str())
    }

    /// What `policy` grants for each expectation, whatever is expected: the seconds of the session,
    /// 0 for the right to approve, or nothing.
    ///
    /// # Errors
    /// What is wrong with an expectation.
    pub fn granted(&self, policy: &Policy) -> Result<Vec<Option<u32>>, String> {
        let (roles, account) = (self.roles(), self.account.as_deref());
        let granted = |test: &Expectation| {
            if let Some(asked) = &test.approves {
                return Ok(test.approving(asked, policy, &roles, account)?.ok().map(|_| 0));
            }
            let grant = test.decide(policy, &roles, account)?.into_grant();
            Ok(grant.ok().map(|grant| grant.duration().seconds()))
        };
        self.tests.iter().map(granted).collect()
    }

    /// The caller with this ARN.
    ///
    /// # Errors
    /// It is no caller's ARN.
    pub fn caller(&self, arn: &str) -> Result<Caller, String> {
        verified(&IamIdentity::of_arn(arn), None, &self.roles(), self.account.as_deref())
    }

    /// The expected outcomes.
    #[cfg(test)]
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.tests.iter().map(|test| test.expect)
    }

    fn roles(&self) -> NamedSessionRoles {
        self.named_session_roles
            .as_deref()
            .and_then(|text| NamedSessionRoles::parse(text).ok())
            .unwrap_or_default()
    }
}

impl Expectation {
    /// A key that could never fail, because it is about the other outcome.
    fn without_effect(&self) -> Option<String> {
        let (set, other) = match self.expect {
            Outcome::Allow => (vec![("reason", self.reason.is_some())], "deny"),
            Outcome::Deny if self.approves.is_some() || self.breaks_glass.is_some() => {
                (vec![("rules", self.rules.is_some()), ("reason", self.reason.is_some())], "allow")
            }
            Outcome::Deny => (
                vec![
                    ("seconds", self.seconds.is_some()),
                    ("tags", !self.tags.is_empty()),
                    ("session_policy", self.session_policy.is_some()),
                ],
                "allow",
            ),
        };
        let (key, _) = set.into_iter().find(|(_, set)| *set)?;
        Some(format!("{key} is only for expect = {other:?}: it would not be checked"))
    }

    fn decide(
        &self,
        policy: &Policy,
        roles: &NamedSessionRoles,
        account: Option<&str>,
    ) -> Result<Decision, String> {
        let (duration, profile) = (self.duration.map(seconds).transpose()?, self.profile()?);
        let device = self.device.as_ref().map(DeviceToml::device).transpose()?;
        let now = self.now.as_ref().map_or(Ok(MONDAY_NOON), moment)?;
        let scope = self.scope.clone().map(ScopeName::try_from).transpose()?;
        let claims = self.claimed.as_ref().map_or(Ok(Claims::default()), ClaimedToml::claims)?;
        let request = VendRequest { duration, scope, claims, ..VendRequest::of(profile) };
        let id = RequestId::new("00000000-0000-0000-0000-000000000000");
        let approval =
            self.approval.as_ref().map(|given| given.approval(duration, now)).transpose()?;
        let approval = approval.as_ref().map_or(Approved::Nothing, Approved::Yes);
        let caller = self.caller(roles, account)?;
        let emergency = match &self.emergency {
            Some(taken) => Some(taken.emergency(&caller, &request.profile, now)?),
            None => None,
        };
        let facts = Facts { device: device.as_ref(), approval, emergency: emergency.as_ref() };
        Ok(policy.decide(&caller, &request, facts, &id, now).0)
    }

    /// The difference between what is expected and whether the caller may take an emergency.
    fn compare_emergency(
        &self,
        taken: &EmergencyToml,
        policy: &Policy,
        roles: &NamedSessionRoles,
        account: Option<&str>,
    ) -> Result<(), String> {
        let now = self.now.as_ref().map_or(Ok(MONDAY_NOON), moment)?;
        let caller = self.caller(roles, account)?;
        let emergency = taken.emergency(&caller, &self.profile()?, now)?;
        match (policy.may_break_glass(&caller, &emergency, now), self.expect) {
            (Ok(permits), Outcome::Allow) if is_person(&caller) => {
                self.compare_permits("may break the glass", &permits)
            }
            (Ok(_), Outcome::Allow) => Err("may not break the glass: only people do".to_owned()),
            (Err(denial), Outcome::Allow) => Err(format!("may not break the glass: {denial}")),
            (Ok(permits), Outcome::Deny) if is_person(&caller) => {
                Err(format!("should not break the glass, but may by {}", listed(&permits)))
            }
            (_, Outcome::Deny) => Ok(()),
        }
    }

    fn compare_permits(&self, what: &str, permits: &[String]) -> Result<(), String> {
        same(self.rules.as_deref(), permits, |expected| {
            format!("{what}, but by {} instead of {}", listed(permits), listed(expected))
        })
    }

    /// The permits by which the caller may decide a request, or why not.
    fn approving(
        &self,
        asked: &ApprovesToml,
        policy: &Policy,
        roles: &NamedSessionRoles,
        account: Option<&str>,
    ) -> Result<Result<Vec<String>, String>, String> {
        let now = self.now.as_ref().map_or(Ok(MONDAY_NOON), moment)?;
        let approver = self.caller(roles, account)?;
        let requester = verified(&IamIdentity::of_arn(&asked.requester), None, roles, account)?;
        let draft = AccessDraft {
            profile: self.profile()?,
            reason: reason(&asked.reason)?,
            ticket: asked.ticket.as_deref().map(ticket).transpose()?,
            duration: None,
        };
        let duration = self.duration.map_or(Ok(policy.default_duration()), seconds)?;
        let id = RequestId::new("00000000-0000-0000-0000-000000000000");
        let access = AccessRequest::new(&requester, draft, duration, &id, now);
        let permits = match policy.may_decide(&approver, &access, now) {
            Ok(permits) => permits,
            Err(denial) => return Ok(Err(denial.to_string())),
        };
        let people = is_person(&approver) && is_person(&requester);
        if people && !access.requester.may_be(&approver) {
            Ok(Ok(permits))
        } else {
            Ok(Err("only people do, and never for themselves".to_owned()))
        }
    }

    /// The difference between what is expected and whether the caller may decide a request.
    fn compare_approval(
        &self,
        asked: &ApprovesToml,
        policy: &Policy,
        roles: &NamedSessionRoles,
        account: Option<&str>,
    ) -> Result<(), String> {
        match (self.approving(asked, policy, roles, account)?, self.expect) {
            (Ok(permits), Outcome::Allow) => self.compare_permits("may approve", &permits),
            (Err(why), Outcome::Allow) => Err(format!("may not approve: {why}")),
            (Ok(permits), Outcome::Deny) => {
                Err(format!("should not approve, but may by {}", listed(&permits)))
            }
            (Err(_), Outcome::Deny) => Ok(()),
        }
    }

    fn profile(&self) -> Result<ProfileName, String> {
        ProfileName::try_from(self.profile.clone()).map_err(|problem| format!("profile: {problem}"))
    }

    fn caller(&self, roles: &NamedSessionRoles, account: Option<&str>) -> Result<Caller, String> {
        let source_ip = self.source_ip.as_deref().map(str::parse::<IpAddr>).transpose();
        let source_ip = source_ip.map_err(|_| "source_ip is not an address")?;
        let org = self.org.as_deref().map(Into::into);
        let user_id = self.unique_id.as_deref().map(Into::into);
        let identity = IamIdentity { org, user_id, ..IamIdentity::of_arn(&self.caller) };
        verified(&identity, source_ip, roles, account)
    }

    /// The difference to `decision`, as a sentence.
    fn compare(&self, decision: Decision) -> Result<(), String> {
        let rules = decision.rules().to_vec();
        match (decision.into_grant(), self.expect) {
            (Ok(_), Outcome::Deny) => {
                return Err(format!("should be denied, but is allowed by {}", listed(&rules)));
            }
            (Err(denial), Outcome::Allow) => {
                let why = denial.to_string();
                let why = why.strip_prefix("denied: ").unwrap_or(&why);
                let by =
                    if rules.is_empty() { String::new() } else { format!(" ({})", listed(&rules)) };
                let message = denial.public_message();
                return Err(format!(
                    "should be allowed, but is denied: {why}{by}. The caller reads {message:?}"
                ));
            }
            (Ok(grant), Outcome::Allow) => self.compare_grant(&grant)?,
            (Err(denial), Outcome::Deny) => {
                let found = denial.public_message();
                same(self.reason.as_deref(), &*found, |expected| {
                    format!("is denied, but with the reason {found:?} instead of {expected:?}")
                })?;
            }
        }
        same(self.rules.as_deref(), &*rules, |expected| {
            let outcome = match self.expect {
                Outcome::Allow => "allowed",
                Outcome::Deny => "denied",
            };
            format!("is {outcome}, but by {} instead of {}", listed(&rules), listed(expected))
        })
    }

    fn compare_grant(&self, grant: &Grant) -> Result<(), String> {
        let (scope, seconds) = (grant.scope(), grant.duration().seconds());
        same(self.seconds.as_ref(), &seconds, |expected| {
            format!("is allowed, but for {seconds} seconds instead of {expected}")
        })?;
        for (key, expected) in &self.tags {
            match scope.tags.iter().find(|(known, _)| known == key) {
                None => return Err(format!("is allowed, but without the tag {key:?}")),
                Some((_, value)) => same(Some(expected), value, |expected| {
                    format!("is allowed, but the tag {key:?} is {value:?} instead of {expected:?}")
                })?,
            }
        }
        match (&self.session_policy, scope.policy.as_deref()) {
            (Some(part), None) => {
                Err(format!("is allowed, but without a session policy that could contain {part:?}"))
            }
            (Some(part), Some(policy)) if !policy.contains(part.as_str()) => Err(format!(
                "is allowed, but the session policy does not contain {part:?}. It is {policy}"
            )),
            _ => Ok(()),
        }
    }
}

fn verified(
    identity: &IamIdentity<'_>,
    source_ip: Option<IpAddr>,
    roles: &NamedSessionRoles,
    account: Option<&str>,
) -> Result<Caller, String> {
    // Without an account of its own, the function counts as being in the caller's.
    let named = roles.of_function_in(account.or_else(|| identity.user_arn.split(':').nth(4)));
    Caller::verified(identity, source_ip, named).map_err(|error| format!("caller: {error}"))
}

fn seconds(seconds: u32) -> Result<SessionDuration, String> {
    SessionDuration::from_seconds(seconds)
        .ok_or_else(|| "duration is not from 900 to 129600".to_owned())
}

fn reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text)
        .ok_or_else(|| "reason is not 1 to 256 visible characters on one line".to_owned())
}

fn ticket(text: &str) -> Result<Ticket, String> {
    Ticket::parse(text).ok_or_else(|| "ticket is not a word of at most 64 characters".to_owned())
}

fn agent(text: &str) -> Result<Agent, String> {
    Agent::parse(text).ok_or_else(|| "agent is not a word of at most 64 characters".to_owned())
}

impl ClaimedToml {
    fn claims(&self) -> Result<Claims, String> {
        Ok(Claims {
            reason: self.reason.as_deref().map(reason).transpose()?,
            ticket: self.ticket.as_deref().map(ticket).transpose()?,
            agent: self.agent.as_deref().map(agent).transpose()?,
        })
    }
}

impl EmergencyToml {
    fn emergency(
        &self,
        caller: &Caller,
        profile: &ProfileName,
        now: UtcDateTime,
    ) -> Result<Emergency, String> {
        let draft = AccessDraft {
            profile: profile.clone(),
            reason: reason(&self.reason)?,
            ticket: self.ticket.as_deref().map(ticket).transpose()?,
            duration: None,
        };
        let began_at = self.began_at.as_ref().map_or(Ok(now), moment)?;
        Emergency::new(caller, draft, began_at)
            .ok_or_else(|| "reason is shorter than 20 characters".to_owned())
    }
}

impl ApprovalToml {
    fn approval(
        &self,
        asked: Option<SessionDuration>,
        now: UtcDateTime,
    ) -> Result<Approval, String> {
        let approved_at = self.approved_at.as_ref().map_or(Ok(now), moment)?;
        let asked = asked.unwrap_or(SessionDuration::CHAINED_MAX);
        Ok(Approval {
            id: None,
            by: self.by.clone(),
            reason: reason(&self.reason)?,
            ticket: self.ticket.as_deref().map(ticket).transpose()?,
            duration: self.duration.map_or(Ok(asked), seconds)?,
            approved_at,
            expires_at: approved_at + CLAIM_WINDOW,
        })
    }
}

impl DeviceToml {
    fn device(&self) -> Result<Device, String> {
        Ok(Device {
            managed: self.managed.unwrap_or(true),
            compliant: self.compliant.unwrap_or(true),
            owner: self.owner.as_ref().map(|owner| owner.to_ascii_lowercase()),
            last_seen: self.last_seen.as_ref().map(moment).transpose()?,
            os_version: self.os_version.clone(),
            provider: match self.provider.as_deref() {
                None | Some("jamf") => "jamf",
                Some("intune") => "intune",
                Some("kandji") => "kandji",
                Some(_) => {
                    return Err("device.provider is none of jamf, intune and kandji".to_owned());
                }
            },
        })
    }
}

/// Monday, 2 March 2026, 12:00 UTC.
const MONDAY_NOON: UtcDateTime = match UtcDateTime::from_unix_timestamp(1_772_452_800) {
    Ok(noon) => noon,
    Err(_) => UtcDateTime::UNIX_EPOCH,
};

fn moment(text: &toml::value::Datetime) -> Result<UtcDateTime, String> {
    UtcDateTime::parse(&text.to_string(), &Rfc3339).map_err(|_| {
        format!("{text} is not a date and time with its zone, as in 2026-03-02T12:00:00Z")
    })
}

/// Passes if nothing is expected or the values are equal.
fn same<T: PartialEq + ?Sized>(
    expected: Option<&T>,
    found: &T,
    difference: impl FnOnce(&T) -> String,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => Err(difference(expected)),
        _ => Ok(()),
    }
}

/// The names of rules in a sentence.
fn listed(rules: &[String]) -> String {
    let quoted: Vec<String> = rules.iter().map(|rule| format!("{rule:?}")).collect();
    match &quoted[..] {
        [] => "no rule".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
