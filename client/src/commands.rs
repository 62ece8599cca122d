//! The commands, one module each.

pub(crate) mod credentials;
pub(crate) mod exec;
pub(crate) mod serve;

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
