//! What a request for credentials asks for, in the forms of the API.
//!
//! Invariant: every value has the form that `docs/api.md` gives it. The names of profiles and scopes become parts of file names
//! and command lines.

use crate::cli::{Ask, Claims, Why};
use crate::device;
use crate::environment::Environment;
use crate::failure::{Exit, Failure, is_invisible};
use crate::settings::Endpoint;

/// What a request asks for: as the arguments say, else the variables, else the settings of the end point.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) profile: String,
    pub(crate) duration: Option<u32>,
    /// A serial number or `auto`.
    pub(crate) device: Option<String>,
    /// One of the profile's named narrowings.
    pub(crate) scope: Option<String>,
    pub(crate) claims: Claims,
}

impl Wanted {
    pub(crate) fn new(
        ask: &Ask,
        endpoint: &Endpoint,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        check_profile(&ask.profile)?;
        if let Some(scope) = &ask.scope {
            check_scope(scope)?;
        }
        let claims = ask.claims.or_variables(environment);
        claims.check()?;
        let device = ask.device.clone().or_else(|| endpoint.device.clone());
        Ok(Self {
            profile: ask.profile.clone(),
            duration: ask.duration.or(endpoint.duration),
            device: device.filter(|device| device != "none"),
            scope: ask.scope.clone(),
            claims,
        })
    }

    /// The query of the request. Reads the serial number of this device if that is wanted.
    pub(crate) fn query(&self) -> Result<String, Failure> {
        let duration = self.duration.map(|seconds| seconds.to_string());
        let device = device::serial_number(self.device.as_deref())?;
        let optional = [
            ("duration", &duration),
            ("device_id", &device),
            ("scope", &self.scope),
            ("reason", &self.claims.reason),
            ("ticket", &self.claims.ticket),
            ("agent", &self.claims.agent),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("profile", &self.profile);
        for (name, value) in optional {
            query.extend_pairs(value.as_ref().map(|value| (name, value)));
        }
        Ok(query.finish())
    }
}

impl Claims {
    /// These claims; the variables fill in what is absent.
    fn or_variables(&self, environment: &Environment) -> Self {
        let or = |argument: &Option<String>, variable: &str| {
            argument.clone().or_else(|| environment.text(variable).map(str::to_owned))
        };
        Self {
            reason: or(&self.reason, "SENTINEL_REASON"),
            ticket: or(&self.ticket, "SENTINEL_TICKET"),
            agent: or(&self.agent, "SENTINEL_AGENT"),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        self.reason.as_deref().map_or(Ok(()), check_reason)?;
        self.ticket.as_deref().map_or(Ok(()), check_ticket)?;
        self.agent.as_deref().map_or(Ok(()), check_agent)
    }
}

impl Why {
    /// Checks what access is for, before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check_profile(&self.profile)?;
        check_reason(&self.reason)?;
        self.ticket.as_deref().map_or(Ok(()), check_ticket)
    }
}

pub(crate) fn check_profile(profile: &str) -> Result<(), Failure> {
    require(
        is_name(profile),
        "the profile is not 1 to 64 letters, digits, `.`, `_` or `-` that begin with a letter or digit",
        "run `sentinel profiles` for the names that you can use",
    )
}

pub(crate) fn check_scope(scope: &str) -> Result<(), Failure> {
    require(
        is_name(scope),
        "the scope is not 1 to 64 letters, digits, `.`, `_` or `-` that begin with a letter or digit",
        "run `sentinel profiles`: it lists the scopes of each profile",
    )
}

/// The end point also limits combining marks.
fn check_reason(reason: &str) -> Result<(), Failure> {
    let text = reason.trim();
    let shown = |c: char| !c.is_control() && !is_invisible(c) && (c == ' ' || !c.is_whitespace());
    require(
        (1..=256).contains(&text.chars().count()) && text.chars().all(shown),
        "the reason is not 1 to 256 visible characters on one line",
        "correct --reason or SENTINEL_REASON",
    )
}

fn check_ticket(ticket: &str) -> Result<(), Failure> {
    require(
        is_word(ticket, "._:/#-"),
        "the ticket is not 1 to 64 letters, digits, `.`, `_`, `:`, `/`, `#` or `-`",
        "correct --ticket or SENTINEL_TICKET",
    )
}

fn check_agent(agent: &str) -> Result<(), Failure> {
    require(
        is_word(agent, "._:/#@-"),
        "the agent is not 1 to 64 letters, digits, `.`, `_`, `:`, `/`, `#`, `@` or `-`",
        "correct --agent or SENTINEL_AGENT",
    )
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && is_word(text, "._-")
}

fn is_word(text: &str, signs: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(valid)
}

fn require(holds: bool, what: &str, next: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(Exit::Usage, what, next)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_form_of_the_api() {
        let long = "x".repeat(65);
        for (check, good, bad) in [
            (
                check_scope as fn(&str) -> _,
                ["read-only", "a", "9.x_y"],
                ["", "-a", ".a", "a b", "a:b", "é", &long],
            ),
            (
                check_ticket,
                ["OPS-4711", "org/repo#12", "-"],
                ["", "a b", "a@b", "<b>", "é", "a\n", &long],
            ),
            (
                check_agent,
                ["claude-code", "ann@example.com", "ci/repo#12:main"],
                ["", "a b", "a=b", "\u{202e}", "é", "a\n", &long],
            ),
        ] {
            for text in good {
                check(text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
            }
            for text in bad {
                assert_eq!(check(text).unwrap_err().exit, Exit::Usage, "{text}");
            }
        }
    }

    /// THREAT: a reason that reads differently from what was written, in the log or to an approver.
    /// PREVENTION: visible characters on one line, refused before anything is sent. The end point has the last word.
    #[test]
    fn security_a_reason_is_one_line_that_can_be_seen() {
        for good in ["x", "Störung in Köln, 東京", " deploy 4711 ", &"x".repeat(256)] {
            check_reason(good).unwrap_or_else(|failure| panic!("{good}: {failure}"));
        }
        let long = "x".repeat(257);
        let bad = ["", "  ", "a\nb", "a\tb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{200b}b", "a\u{a0}b"];
        for bad in bad.into_iter().chain([long.as_str()]) {
            assert_eq!(check_reason(bad).unwrap_err().exit, Exit::Usage, "{bad:?}");
        }
    }
}
