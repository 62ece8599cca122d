//! `sentinel explain`: what a request would get, and what is missing.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Context, json};
use crate::cli::Explain;
use crate::endpoint;
use crate::failure::{Exit, Failure, quoted};
use crate::terminal;
use crate::wanted::Wanted;

#[derive(Debug, Deserialize, Serialize)]
struct Explanation {
    profile: String,
    allowed: bool,
    #[serde(default)]
    reasons: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clamped_by: Option<String>,
    #[serde(default)]
    missing: Vec<String>,
}

/// Ends with the status of a refusal if the request would be refused.
pub(crate) fn run(context: &Context, arguments: &Explain) -> Result<ExitCode, Failure> {
    let endpoint = context.endpoint()?;
    let wanted = Wanted::new(&arguments.ask, &endpoint, &context.environment)?;
    let path = format!("/v1/explain?{}", wanted.query()?);
    let explanation: Explanation = endpoint::fetch(&endpoint, &context.environment, &path)?;
    let text = if arguments.output.json {
        json(&explanation)
    } else {
        explanation.in_words(wanted.device.is_some())
    };
    terminal::print(&text)?;
    Ok(if explanation.allowed { ExitCode::SUCCESS } else { ExitCode::from(Exit::Refused as u8) })
}

impl Explanation {
    fn in_words(&self, with_device: bool) -> String {
        let profile = quoted(&self.profile);
        if self.allowed {
            let seconds = self.duration.unwrap_or_default();
            let limit = self
                .clamped_by
                .as_deref()
                .map(|limit| format!(", shortened by the limit `{}`", quoted(limit)));
            return format!(
                "{profile}: you would get it for {seconds} seconds{}.\n",
                limit.unwrap_or_default()
            );
        }
        let mut text = format!("{profile}: you would be refused.\n");
        for reason in &self.reasons {
            let _ = writeln!(text, "  reason   {}.", quoted(reason));
        }
        if self.missing.is_empty() {
            text.push_str(
                "  missing  Nothing that you can change would help. Ask the people who write the policy.\n",
            );
        }
        for missing in &self.missing {
            let _ = writeln!(text, "  missing  {}", in_words(missing, &profile, with_device));
        }
        text
    }
}

/// What to change for a part of `missing`.
fn in_words(missing: &str, profile: &str, with_device: bool) -> String {
    match missing {
        "device" if with_device => {
            "Your own device: managed, compliant and recently seen. The one that you named is not."
                .to_owned()
        }
        "device" => {
            "Your own device: managed, compliant and recently seen. Name it with --device auto."
                .to_owned()
        }
        "approval" => {
            format!("The approval of another person: `sentinel request {profile} --reason TEXT`.")
        }
        "time" => "Another hour: it would be granted at some other time within a week.".to_owned(),
        other => format!("{}.", quoted(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &str, with_device: bool) -> String {
        serde_json::from_str::<Explanation>(body).unwrap().in_words(with_device)
    }

    #[test]
    fn what_is_missing_is_shown_in_words() {
        let body = r#"{"profile":"production","allowed":false,"reasons":["Open on weekdays."],"missing":["device","time"]}"#;
        assert_eq!(
            words(body, false),
            "production: you would be refused.\n  reason   Open on weekdays.\n  \
             missing  Your own device: managed, compliant and recently seen. Name it with --device auto.\n  \
             missing  Another hour: it would be granted at some other time within a week.\n"
        );
        assert!(words(body, true).contains("The one that you named is not."));
        let nothing = r#"{"profile":"a","allowed":false,"reasons":[],"missing":[]}"#;
        assert!(words(nothing, false).contains("Nothing that you can change would help."));
    }

    #[test]
    fn what_would_be_granted_is_shown_with_its_limit() {
        let body = r#"{"profile":"a","allowed":true,"reasons":[],"duration":900,"clamped_by":"policy","missing":[]}"#;
        assert_eq!(
            words(body, false),
            "a: you would get it for 900 seconds, shortened by the limit `policy`.\n"
        );
    }
}
