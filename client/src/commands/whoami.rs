//! `sentinel whoami`: who the end point sees.

use std::process::ExitCode;

use super::{Context, json};
use crate::cli::Output;
use crate::clock::Deadline;
use crate::endpoint::{self, Client};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::terminal;

pub(crate) fn run(context: &Context, output: Output) -> Result<ExitCode, Failure> {
    let endpoint = context.endpoint()?;
    let deadline = Deadline::after(endpoint.timeout);
    let identity = endpoint::run(async {
        Identity::of(&Client::connect(&endpoint, &context.environment, deadline).await?).await
    })?;
    if output.json {
        terminal::print(&json(&identity))?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal::print(&format!(
        "you sign as  {}\nprincipal    {}\nname         {}\n",
        identity.arn, identity.principal, identity.name
    ))?;
    if identity.is_shared() {
        terminal::print(
            "Your session name does not count: everybody with this role is one principal, unless the\n\
             operator listed the role in SENTINEL_NAMED_SESSION_ROLES.\n",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
