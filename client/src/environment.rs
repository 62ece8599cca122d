//! The environment, read once, and the places of files that follow from it.
//!
//! Invariant: nothing else in this program reads a variable. An empty variable counts as absent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// A snapshot of the environment variables.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl std::fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// The variables of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable, if it is set, not empty and Unicode.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(std::ffi::OsStr::new(name))?.to_str().filter(|value| !value.is_empty())
    }

    /// The value of a variable as a path, if it is set and not empty.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(std::ffi::OsStr::new(name)).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The variable as a path, if it is absolute: the XDG base directory specification ignores relative ones.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    /// The home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.absolute(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
    }

    /// The settings file: `$SENTINEL_CONFIG`, else the platform's place.
    pub(crate) fn settings_file(&self) -> Option<PathBuf> {
        self.path("SENTINEL_CONFIG").or_else(|| Some(self.config_directory()?.join("config.toml")))
    }

    fn config_directory(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return Some(self.absolute("APPDATA")?.join("sentinel"));
        }
        let base =
            self.absolute("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(".config")))?;
        Some(base.join("sentinel"))
    }

    /// The directory of the cache.
    pub(crate) fn cache_directory(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return Some(self.absolute("LOCALAPPDATA")?.join("sentinel").join("cache"));
        }
        let base = self.absolute("XDG_CACHE_HOME").or_else(|| {
            let own = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
            Some(self.home()?.join(own))
        })?;
        Some(base.join("sentinel"))
    }

    /// The AWS configuration file: `$AWS_CONFIG_FILE`, else `~/.aws/config`.
    pub(crate) fn aws_config_file(&self) -> Option<PathBuf> {
        self.path("AWS_CONFIG_FILE").or_else(|| Some(self.home()?.join(".aws").join("config")))
    }

    /// The AWS credentials file: `$AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
    pub(crate) fn aws_credentials_file(&self) -> Option<PathBuf> {
        self.path("AWS_SHARED_CREDENTIALS_FILE")
            .or_else(|| Some(self.home()?.join(".aws").join("credentials")))
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
