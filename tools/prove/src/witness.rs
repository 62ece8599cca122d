//! A request that the solver found, as a `[[test]]` of `tests.toml`, and its replay through the
//! function's own code.

use crate::bundle::Bundle;
use crate::callers::Candidate;
use crate::prover::{Found, Model};
use crate::world::{APPROVED, BEGAN, LAST_SEEN, NOW};
use policy::{Action, Expectations};
use std::fmt;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

/// The keys and values of a `[[test]]`, in the order to show them in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Witness(Vec<(&'static str, toml::Value)>);

impl Witness {
    /// `None` if the model is not of one of the candidates.
    pub(crate) fn of(
        model: &Model,
        action: Action,
        profile: &str,
        candidates: &[Candidate],
    ) -> Option<Self> {
        let arn = |principal: Option<String>| {
            let found = candidates.iter().find(|it| Some(it.principal()) == principal.as_deref());
            Some(toml::Value::from(found?.arn.clone()))
        };
        let text = |path: &[&str]| model.text(path).map(toml::Value::from);
        let mut keys = vec![
            ("caller", arn(model.text(&["principal", "arn"]))?),
            ("profile", toml::Value::from(profile)),
            ("now", moment(model.long(&[NOW])?)?),
        ];
        let optional = [
            ("org", text(&["principal", "org"])),
            ("unique_id", text(&["principal", "unique_id"])),
            ("source_ip", model.text(&["source_ip"]).map(|text| address(&text))),
            ("duration", model.long(&["duration"]).map(toml::Value::from)),
        ];
        keys.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
        if matches!(model.value(&["device"]), Some(Found::Record)) {
            keys.push(("device", device(model)?.into()));
        }
        if matches!(model.value(&["approval"]), Some(Found::Record)) {
            keys.push(("approval", approval(model)?.into()));
        }
        if matches!(model.value(&["emergency"]), Some(Found::Record)) {
            keys.push(("emergency", emergency(model)?.into()));
        }
        if action == Action::Vend {
            keys.extend(text(&["scope"]).map(|scope| ("scope", scope)));
            let claims = ["reason", "ticket", "agent"].map(|it| (it, text(&["claimed", it])));
            let claimed = table(claims);
            keys.extend((!claimed.is_empty()).then(|| ("claimed", claimed.into())));
        }
        if action == Action::Approve {
            let requester = arn(model.text(&["requester", "arn"]))?;
            let asked = [("reason", text(&["reason"])), ("ticket", text(&["ticket"]))];
            let asked = table(asked.into_iter().chain([("requester", Some(requester))]));
            keys.push(("approves", asked.into()));
        }
        Some(Self(keys))
    }

    /// What the function grants: the seconds of the session, 0 for the right to approve, or nothing.
    pub(crate) fn replay(&self, bundle: &Bundle) -> Result<Option<u32>, String> {
        let text = format!("[[test]]\nname = \"replay\"\nexpect = \"allow\"\n{self}");
        let one = Expectations::with_settings_of(&text, &bundle.expectations)?;
        Ok(one.granted(&bundle.policy)?.into_iter().next().flatten())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        self.0.iter().map(|(key, value)| ((*key).to_owned(), as_json(value))).collect()
    }
}

/// One line for each key.
impl fmt::Display for Witness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| writeln!(out, "{key} = {value}"))
    }
}

fn as_json(value: &toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key.clone(), as_json(value))).collect()
        }
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Integer(value) => (*value).into(),
        toml::Value::String(text) => text.clone().into(),
        other => other.to_string().into(),
    }
}

fn table<'a>(keys: impl IntoIterator<Item = (&'a str, Option<toml::Value>)>) -> toml::Table {
    keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Cedar's form of one address is that of a network of one.
fn address(text: &str) -> toml::Value {
    text.split('/').next().unwrap_or_default().into()
}

fn moment(seconds: i64) -> Option<toml::Value> {
    let text = UtcDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()?;
    Some(toml::Value::Datetime(text.parse().ok()?))
}

fn device(model: &Model) -> Option<toml::Table> {
    let flag = |key| match model.value(&["device", key]) {
        Some(Found::Bool(value)) => Some(toml::Value::from(value)),
        _ => None,
    };
    let text = |key| model.text(&["device", key]).map(toml::Value::from);
    let last_seen = match model.value(&["device", "last_seen"]) {
        Some(_) => Some(moment(model.long(&[LAST_SEEN])?)?),
        None => None,
    };
    Some(table([
        ("managed", flag("managed")),
        ("compliant", flag("compliant")),
        ("owner", text("owner")),
        ("last_seen", last_seen),
        ("os_version", text("os_version")),
        ("provider", text("provider")),
    ]))
}

fn approval(model: &Model) -> Option<toml::Table> {
    let text = |key| model.text(&["approval", key]).map(toml::Value::from);
    Some(table([
        ("by", text("by")),
        ("reason", text("reason")),
        ("ticket", text("ticket")),
        ("duration", model.long(&["approval", "duration"]).map(toml::Value::from)),
        ("approved_at", Some(moment(model.long(&[APPROVED])?)?)),
    ]))
}

fn emergency(model: &Model) -> Option<toml::Table> {
    let text = |key| model.text(&["emergency", key]).map(toml::Value::from);
    Some(table([
        ("reason", text("reason")),
        ("ticket", text("ticket")),
        ("began_at", Some(moment(model.long(&[BEGAN])?)?)),
    ]))
}
