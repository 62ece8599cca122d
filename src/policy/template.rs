//! Text with placeholders for the verified caller: `home/<<caller.name>>`.
//!
//! The brackets mean nothing to IAM, which uses `${…}`, or to Parameter Store, which rejects values
//! with `{{…}}`.
//!
//! Invariant: a text with an unknown placeholder does not load. Filling fails for a caller without
//! the attribute; it never puts an empty text in its place.

use crate::caller::Caller;
use serde::Deserialize;

/// An attribute of the verified caller, as Cedar policies know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Arn,
    Account,
    Name,
    Kind,
    SessionName,
    Org,
}

impl Attribute {
    fn named(text: &str) -> Option<Self> {
        match text {
            "caller.arn" => Some(Self::Arn),
            "caller.account" => Some(Self::Account),
            "caller.name" => Some(Self::Name),
            "caller.kind" => Some(Self::Kind),
            "caller.session_name" => Some(Self::SessionName),
            "caller.org" => Some(Self::Org),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Arn => "caller.arn",
            Self::Account => "caller.account",
            Self::Name => "caller.name",
            Self::Kind => "caller.kind",
            Self::SessionName => "caller.session_name",
            Self::Org => "caller.org",
        }
    }

    /// The caller's value, if it has one.
    pub(super) fn of(self, caller: &Caller) -> Option<String> {
        let text = match self {
            Self::Arn => caller.principal().as_str(),
            Self::Account => caller.account(),
            Self::Name => caller.name(),
            Self::Kind => caller.kind().name(),
            Self::SessionName => caller.session_name()?,
            Self::Org => caller.org()?,
        };
        Some(text.to_owned())
    }

    /// A value of the greatest length, for checks at load time. ARNs vary too much for that: the
    /// shortest one.
    pub(super) fn longest(self) -> String {
        let length = match self {
            Self::Arn => "arn:aws:iam::123456789012:root".len(),
            Self::Account => 12,
            Self::Name | Self::SessionName => 64,
            Self::Kind => "federated-user".len(),
            // AWS Organizations API reference, `Organization.Id`: o-[a-z0-9]{10,32}.
            Self::Org => 34,
        };
        "x".repeat(length)
    }
}

/// The value for an attribute; `None` if there is none.
pub(super) type Lookup<'a> = &'a dyn Fn(Attribute) -> Option<String>;

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Attribute(Attribute),
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains("{{") {
            return Err(format!("{text:?} has {{{{: placeholders are written <<caller.name>>"));
        }
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("<<") {
            let (name, after) =
                after.split_once(">>").ok_or_else(|| format!("{text:?} has a << without >>"))?;
            let attribute = Attribute::named(name.trim()).ok_or_else(|| {
                format!("<<{name}>> is not one of <<caller.arn>>, .account, .name, .kind, .session_name and .org")
            })?;
            parts.extend([Part::Text(before.to_owned()), Part::Attribute(attribute)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }
}

impl Template {
    /// The text with every placeholder replaced by the value that `lookup` returns.
    ///
    /// # Errors
    /// The attribute that has no value.
    pub(super) fn fill(&self, lookup: Lookup<'_>) -> Result<String, Attribute> {
        let part = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Attribute(attribute) => lookup(*attribute).ok_or(*attribute),
        };
        self.0.iter().map(part).collect()
    }
}
