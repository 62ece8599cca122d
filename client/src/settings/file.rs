//! The settings file, TOML.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::failure::{Failure, quoted};

/// The whole file. An absent file is an empty one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsFile {
    /// The end point to use if none is named.
    pub(crate) default: Option<String>,
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, EndpointTable>,
}

/// One `[endpoints.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointTable {
    pub(crate) url: String,
    pub(crate) region: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) aws_profile: Option<String>,
    pub(crate) client_token_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) client_token_keyring: bool,
    #[serde(default)]
    pub(crate) caller_proof: CallerProof,
    #[serde(default)]
    pub(crate) cache: CacheKind,
    pub(crate) device: Option<String>,
    pub(crate) duration: Option<u32>,
    pub(crate) timeout: Option<u64>,
    pub(crate) signin_url: Option<String>,
}

/// Whether to prove who calls with a signed `GetCallerIdentity`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CallerProof {
    /// If the end point accepts it.
    #[default]
    Auto,
    Off,
}

/// Where credentials are cached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CacheKind {
    #[default]
    File,
    KeyRing,
    Off,
}

impl EndpointTable {
    /// An end point that is only a URL.
    pub(crate) fn of_url(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }
}

impl SettingsFile {
    /// Reads the settings file.
    pub(crate) fn load(environment: &Environment) -> Result<Self, Failure> {
        let Some(path) = environment.settings_file() else { return Ok(Self::default()) };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::settings(
                format!("the settings file {} cannot be read: {error}", path.display()),
                "make it readable to you, or set SENTINEL_CONFIG to another file",
            )),
        }
    }

    pub(crate) fn parse(text: &str, path: &str) -> Result<Self, Failure> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| 1 + text[..span.start].matches('\n').count());
            Failure::settings(
                format!("{path}, line {line}: {}", quoted(error.message())),
                "correct the line; docs/client.md lists the settings",
            )
        })?;
        file.check(path)?;
        Ok(file)
    }

    fn check(&self, path: &str) -> Result<(), Failure> {
        for (name, table) in &self.endpoints {
            let wrong = |setting: &str, form: &str| {
                Err(Failure::settings(
                    format!(
                        "{path}: {setting} of the end point `{}` is out of range",
                        quoted(name)
                    ),
                    format!("set {form}"),
                ))
            };
            if table.duration.is_some_and(|duration| !(900..=129_600).contains(&duration)) {
                return wrong("duration", "900 to 129600 seconds");
            }
            if table.timeout.is_some_and(|timeout| !(1..=3600).contains(&timeout)) {
                return wrong("timeout", "1 to 3600 seconds");
            }
            if table.service.as_deref().is_some_and(|it| !["lambda", "execute-api"].contains(&it)) {
                return wrong("service", "`lambda` or `execute-api`");
            }
        }
        Ok(())
    }

    /// The name of the only end point, if there is one and no other.
    pub(crate) fn only(&self) -> Option<&str> {
        self.endpoints.keys().next().filter(|_| self.endpoints.len() == 1).map(String::as_str)
    }

    /// The names of all end points, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.endpoints.keys().map(|name| quoted(name)).collect();
        if names.is_empty() { "none is set".to_owned() } else { names.join(", ") }
    }
}
