//! Parameter Store: the policy bundle, which changes while the function runs.

use super::front::{Reply, json};
use crate::clock::{self, Micros};
use crate::lock;
use serde_json::json;
use std::sync::Mutex;

/// The path of the bundle.
pub(crate) const PATH: &str = "/soak/policy";

/// Which bundle Parameter Store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// It permits `toggled`.
    Open,
    /// It forbids `toggled`.
    Closed,
    /// It does not load.
    Broken,
}

pub(crate) struct Parameters(Mutex<Vec<(Micros, Version)>>);

impl Parameters {
    pub(super) fn new() -> Self {
        Self(vec![(0, Version::Open)].into())
    }

    /// From now on the bundle is this one.
    pub(crate) fn put(&self, version: Version) {
        lock(&self.0).push((clock::now(), version));
    }

    /// Each change, and its time.
    pub(crate) fn history(&self) -> Vec<(Micros, Version)> {
        lock(&self.0).clone()
    }
}

pub(super) fn answer(parameters: &Parameters, _body: &[u8]) -> Reply {
    let version = lock(&parameters.0).last().map_or(Version::Open, |(_, version)| *version);
    let rules = match version {
        Version::Open => RULES.to_owned(),
        Version::Closed => format!("{RULES}\n{CLOSED}"),
        Version::Broken => format!("{RULES}\npermit (principal, action"),
    };
    let parameter = |name: &str, text: &str| json!({ "Name": format!("{PATH}/{name}"), "Type": "String", "Value": text });
    json(
        200,
        &json!({ "Parameters": [parameter("profiles", PROFILES), parameter("policies/rules", &rules)] }),
    )
}

const PROFILES: &str = r#"
[development]
role_arn = "arn:aws:iam::222222222222:role/vended-development"
groups = ["open"]
tags = { Owner = "<<caller.name>>" }

[toggled]
role_arn = "arn:aws:iam::222222222222:role/vended-toggled"
groups = ["open"]

[own-device]
role_arn = "arn:aws:iam::222222222222:role/vended-own-device"
"#;

const RULES: &str = r#"
@id("open-to-all")
permit (principal, action == Sentinel::Action::"vend", resource in Sentinel::ProfileGroup::"open");

@id("own-device")
permit (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"own-device")
when {
  context has device && context.device.managed && context.device.compliant &&
  context.device has owner && context.device.owner == principal.name
};
"#;

const CLOSED: &str = r#"
@id("closed")
@reason("Closed.")
forbid (principal, action == Sentinel::Action::"vend", resource == Sentinel::Profile::"toggled");
"#;
