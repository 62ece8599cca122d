//! `sentinel profiles`: what this caller could get now without naming a device.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Context, json};
use crate::cli::Output;
use crate::endpoint;
use crate::environment::Environment;
use crate::failure::{Failure, quoted};
use crate::settings::Endpoint;
use crate::terminal;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Profiles {
    pub(super) profiles: Vec<Profile>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Profile {
    pub(super) name: String,
    description: String,
    max_duration: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) scopes: Vec<Scope>,
}

/// A named narrowing of a profile.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Scope {
    pub(super) name: String,
    description: String,
}

pub(crate) fn run(context: &Context, output: Output) -> Result<ExitCode, Failure> {
    let profiles = fetch(&context.endpoint()?, &context.environment)?;
    terminal::print(&if output.json { json(&profiles) } else { table(&profiles.profiles) })?;
    Ok(ExitCode::SUCCESS)
}

/// The profiles of an end point for this caller.
pub(super) fn fetch(endpoint: &Endpoint, environment: &Environment) -> Result<Profiles, Failure> {
    endpoint::fetch(endpoint, environment, "/v1/profiles")
}

fn table(profiles: &[Profile]) -> String {
    if profiles.is_empty() {
        return "You could get no profile now. A profile that requires a device is not in this list: \
            ask `sentinel explain PROFILE --device auto`.\n"
            .to_owned();
    }
    let width = profiles.iter().map(|profile| profile.name.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for profile in profiles {
        let (name, description) = (quoted(&profile.name), quoted(&profile.description));
        let _ = writeln!(table, "{name:width$}  {:>6} s  {description}", profile.max_duration);
        for scope in &profile.scopes {
            let (name, description) = (quoted(&scope.name), quoted(&scope.description));
            let _ = writeln!(table, "  --scope {name}  {description}");
        }
    }
    table
}
