//! `sentinel completion`: completions for a shell.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use std::process::ExitCode;

use crate::cli::Arguments;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "sentinel", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
