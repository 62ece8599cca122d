//! `sentinel forget`: no cached credentials remain.

use std::process::ExitCode;

use super::Context;
use crate::cache::Directory;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let removed = Directory::of(&context.environment).and_then(|directory| directory.clear());
    let removed = removed.map_err(|problem| {
        Failure::local(problem.to_string(), "remove the files of the cache directory yourself")
    })?;
    terminal::print_line(&format!(
        "cached sessions removed: {removed}; at AWS they stay valid until they expire"
    ))?;
    Ok(ExitCode::SUCCESS)
}
