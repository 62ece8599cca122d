//! `sentinel exec`: a command with credentials.
//!
//! The command reads them from a loopback end point for as long as it runs, or once from variables with `--env`. Its exit
//! status is this program's; if a signal ended it, the status is 128 and the signal's number.

mod child;
mod signals;

use secrecy::ExposeSecret as _;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;

use super::Context;
use crate::cli::Exec;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::failure::{Failure, quoted};
use crate::server::{Server, Source};
use crate::terminal;
use crate::vend;

/// As shells have them: the command cannot be started, or does not exist.
const CANNOT_START: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(crate) fn run(context: Context, arguments: &Exec) -> Result<ExitCode, Failure> {
    let request = vend::Request::new(context.endpoint()?, &arguments.vend, &context.environment)?;
    let (source, credentials) = Source::open(request, context.environment)?;
    let command = child::command(&arguments.command, &source.environment);
    if arguments.env {
        return Ok(with_variables(command, &credentials));
    }
    endpoint::run(with_server(command, source))
}

/// Runs the command beside a server.
async fn with_server(mut command: Command, source: Source) -> Result<ExitCode, Failure> {
    let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    child::use_server(&mut command, &server, &source.environment);
    let signals = signals::Signals::listen();
    let name = command.get_program().to_owned();
    let mut child = match tokio::process::Command::from(command).spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(&name, &error)),
    };
    let process = child.id();
    tokio::select! {
        never = server.run(Arc::new(source)) => match never {},
        never = signals.pass_on_to(process) => match never {},
        ended = child.wait() => ended.map(exit_code).map_err(|error| {
            Failure::local(format!("the command was lost: {error}"), "check whether it still runs")
        }),
    }
}

/// Runs the command with the credentials in its variables. On Unix it replaces this process.
fn with_variables(mut command: Command, credentials: &Credentials) -> ExitCode {
    command
        .env("AWS_ACCESS_KEY_ID", &credentials.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.expose_secret())
        .env("AWS_SESSION_TOKEN", credentials.session_token.expose_secret())
        .env("AWS_CREDENTIAL_EXPIRATION", credentials.expiration());
    let name = command.get_program().to_owned();
    #[cfg(unix)]
    return not_started(&name, &std::os::unix::process::CommandExt::exec(&mut command));
    #[cfg(not(unix))]
    match command.status() {
        Ok(status) => exit_code(status),
        Err(error) => not_started(&name, &error),
    }
}

fn not_started(name: &OsStr, error: &std::io::Error) -> ExitCode {
    let (code, next) = if error.kind() == std::io::ErrorKind::NotFound {
        (NOT_FOUND, "check its name and PATH")
    } else {
        (CANNOT_START, "check that you may execute it")
    };
    let name = quoted(&name.to_string_lossy());
    terminal::note(&format!("the command `{name}` cannot start: {error}; next: {next}"));
    ExitCode::from(code)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    // Windows has statuses that do not fit a byte; those become 1.
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
