//! The commands, one module each.

pub(crate) mod access;
pub(crate) mod completion;
pub(crate) mod configure;
pub(crate) mod console;
pub(crate) mod credentials;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod forget;
pub(crate) mod profiles;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod whoami;

use crate::cli::Shared;
use crate::environment::Environment;
use crate::settings::Endpoint;

/// What every command gets: the flags of the end point, and the environment.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) shared: Shared,
    pub(crate) environment: Environment,
}

impl Context {
    /// The end point that the flags, the environment and the settings select.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, crate::failure::Failure> {
        Endpoint::select(&self.shared, &self.environment)
    }
}

/// A value as JSON, for scripts.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |json| json + "\n")
}
