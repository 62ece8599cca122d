//! `sentinel token`: the client token in the key ring of the operating system.

use secrecy::ExposeSecret as _;
use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use super::Context;
use crate::cache::{KeyRing, KeyRingError};
use crate::cli::TokenAction;
use crate::client_token::checked;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(context: &Context, action: TokenAction) -> Result<ExitCode, Failure> {
    let endpoint = context.endpoint()?;
    let item = KeyRing::client_token(endpoint.url.authority());
    let (done, result) = match action {
        TokenAction::Store => ("stored", item.write(read()?.expose_secret().as_bytes())),
        TokenAction::Remove => ("removed", item.remove()),
    };
    match result {
        Ok(()) => {
            terminal::note(&format!("{done} the client token for {}", endpoint.label()));
            Ok(ExitCode::SUCCESS)
        }
        Err(KeyRingError::Absent) => Err(Failure::local(
            "the key ring has no client token for this end point",
            "nothing is left to do",
        )),
        Err(error) => {
            Err(Failure::local(error.to_string(), "unlock the key ring, or use client_token_file"))
        }
    }
}

/// The token, from standard input.
fn read() -> Result<secrecy::SecretString, Failure> {
    let mut text = String::new();
    let read = if io::stdin().is_terminal() {
        terminal::show("Client token (not shown): ");
        let read = without_echo(|| io::stdin().read_line(&mut text));
        terminal::show("\n");
        read
    } else {
        io::stdin().take(8 * 1024).read_to_string(&mut text)
    };
    read.map_err(|error| {
        Failure::local(format!("standard input cannot be read: {error}"), "try again")
    })?;
    checked(text.as_bytes())
}

/// Reads from the terminal while it does not show what is typed.
#[cfg(unix)]
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let before = tcgetattr(io::stdin())?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
    let read = read();
    tcsetattr(io::stdin(), OptionalActions::Now, &before)?;
    read
}

/// Windows shows what is typed; a token from a pipe is not shown.
#[cfg(not(unix))]
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    read()
}
