//! The client token of an end point: from a file or the key ring, never from an argument or a variable.
//!
//! Invariant: no failure shows any part of a token.

use secrecy::SecretString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::cache::{KeyRing, permissions};
use crate::failure::Failure;
use crate::settings::{ClientTokenSource, Endpoint};

/// The longest file that can be a token.
const MOST_BYTES: u64 = 8 * 1024;

/// The token, if the end point has one.
pub(crate) fn read(endpoint: &Endpoint) -> Result<Option<SecretString>, Failure> {
    match &endpoint.client_token {
        ClientTokenSource::None => Ok(None),
        ClientTokenSource::File(path) => from_file(path).map(Some),
        ClientTokenSource::KeyRing => from_key_ring(endpoint).map(Some),
    }
}

fn from_file(path: &Path) -> Result<SecretString, Failure> {
    let path_shown = path.display();
    let problem = |why: String, next: &str| {
        Failure::settings(format!("the client token file {path_shown} {why}"), next)
    };
    let unreadable = |error: std::io::Error| {
        problem(format!("cannot be read: {error}"), "correct client_token_file")
    };
    let file = File::open(path).map_err(unreadable)?;
    if let Some(mode) = permissions::readable_by_others(&file) {
        let why = format!("can be read by others (mode {mode:04o})");
        return Err(problem(
            why,
            "run `chmod 600` on it, and replace the token if others use this machine",
        ));
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    checked(&text)
}

fn from_key_ring(endpoint: &Endpoint) -> Result<SecretString, Failure> {
    let token = KeyRing::client_token(endpoint.url.authority()).read();
    let token = token.map_err(|error| {
        Failure::settings(
            format!("no client token for {}: {error}", endpoint.label()),
            "run `sentinel token store`, or set client_token_file",
        )
    })?;
    checked(&token)
}

/// A token without the line break at its end.
pub(crate) fn checked(text: &[u8]) -> Result<SecretString, Failure> {
    let token = str::from_utf8(text).map_err(|_| malformed())?.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(malformed());
    }
    Ok(token.into())
}

/// A failure for text that cannot be a token.
pub(crate) fn malformed() -> Failure {
    Failure::settings(
        "the client token is empty, or has blanks or characters outside ASCII",
        "store the token as you were given it, on one line",
    )
}
