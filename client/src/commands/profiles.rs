//! `sentinel profiles`: what this caller could get now without naming a device.

use serde::{Deserialize, Serialize};
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
    let row = |profile: &Profile| {
        let (name, description) = (quoted(&profile.name), quoted(&profile.description));
        format!("{name:width$}  {:>6} s  {description}\n", profile.max_duration)
    };
    profiles.iter().map(row).collect()
}
