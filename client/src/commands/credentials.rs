//! `sentinel credentials`: the `credential_process` of an AWS profile.

use std::process::ExitCode;

use super::Context;
use crate::cli::Vend;
use crate::failure::Failure;
use crate::terminal;
use crate::vend;

pub(crate) fn run(context: &Context, arguments: &Vend) -> Result<ExitCode, Failure> {
    let request = vend::Request::new(context.endpoint()?, arguments, &context.environment)?;
    let cache = vend::open_cache(&request, &context.environment);
    let credentials = vend::credentials(&request, &cache, &context.environment)?;
    terminal::print_line(&credentials.to_process_json())?;
    Ok(ExitCode::SUCCESS)
}
