//! What the environment says, checked before anything is served.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper::Uri;
use thiserror::Error;

use crate::keys::{Keys, KeysError};

/// Where to listen, which signatures to accept and which function to invoke.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) keys: Keys,
    pub(crate) region: String,
    pub(crate) function_log: PathBuf,
    pub(crate) invoke_url: Uri,
}

/// Why the server cannot start, with the remedy.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    #[error(
        "{0} is not set; run `make run`, which sets it, or see the head of tools/local-url/src/main.rs"
    )]
    Missing(&'static str),
    #[error("LISTEN={0} is not a loopback address and port, such as 127.0.0.1:9010")]
    Listen(String),
    #[error("INVOKE_URL={0} is not an http:// URL")]
    InvokeUrl(String),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Settings {
    /// Reads `LISTEN`, `KEYS`, `REGION`, `FUNCTION_LOG` and `INVOKE_URL`.
    pub(crate) fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            listen: loopback(variable("LISTEN")?)?,
            keys: Keys::load(variable("KEYS")?.as_ref())?,
            region: variable("REGION")?,
            function_log: variable("FUNCTION_LOG")?.into(),
            invoke_url: http_url(variable("INVOKE_URL")?)?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the program reads its environment")]
fn variable(name: &'static str) -> Result<String, SettingsError> {
    env::var(name).map_err(|_| SettingsError::Missing(name))
}

/// The keys are worth something to whoever else could reach the port, so only this machine may.
fn loopback(value: String) -> Result<SocketAddr, SettingsError> {
    match value.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        _ => Err(SettingsError::Listen(value)),
    }
}

fn http_url(value: String) -> Result<Uri, SettingsError> {
    match value.parse::<Uri>() {
        Ok(url) if url.scheme_str() == Some("http") && url.host().is_some() => Ok(url),
        _ => Err(SettingsError::InvokeUrl(value)),
    }
}
