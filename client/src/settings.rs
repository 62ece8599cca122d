//! Which end point, who signs, and how: from the settings file, the environment and the flags.
//!
//! A flag overrides a variable, a variable overrides the file. Unknown keys of the file are errors.
//!
//! Invariant: the settings of a named end point, its client token above all, apply to that end point's URL only. A URL
//! from `--url` or `SENTINEL_URL` takes nothing from the file.

mod file;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Shared;
use crate::environment::Environment;
use crate::failure::{Failure, quoted};

pub(crate) use file::{CacheKind, CallerProof, EndpointTable, SettingsFile};
pub(crate) use url::EndpointUrl;

const DEFAULT_TIMEOUT: u64 = 30;

/// An end point, and everything needed to call it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Its name in the settings file, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) url: EndpointUrl,
    pub(crate) region: String,
    /// The service name of the signature: `lambda` or `execute-api`.
    pub(crate) service: String,
    /// The AWS profile that signs; the SDK's default chain if absent.
    pub(crate) aws_profile: Option<String>,
    pub(crate) client_token: ClientTokenSource,
    pub(crate) caller_proof: CallerProof,
    pub(crate) cache: CacheKind,
    pub(crate) device: Option<String>,
    pub(crate) duration: Option<u32>,
    pub(crate) timeout: Duration,
    /// The sign-in service, for partitions that this program does not know.
    pub(crate) signin_url: Option<EndpointUrl>,
}

/// Where the client token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientTokenSource {
    None,
    File(PathBuf),
    KeyRing,
}

impl Endpoint {
    /// The end point that the flags, the environment and the settings file select, in this order.
    pub(crate) fn select(shared: &Shared, environment: &Environment) -> Result<Self, Failure> {
        let url = shared
            .url
            .as_deref()
            .or_else(|| environment.text("SENTINEL_URL").filter(|_| shared.endpoint.is_none()));
        let (name, table) = match url {
            Some(url) => (None, EndpointTable::of_url(url)),
            None => named(shared.endpoint.as_deref(), environment)?,
        };
        Self::merge(name, table, shared, environment)
    }

    fn merge(
        name: Option<String>,
        table: EndpointTable,
        shared: &Shared,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let url = EndpointUrl::parse(&table.url)?;
        let region = shared.region.clone();
        let region = region.or_else(|| environment.text("SENTINEL_REGION").map(str::to_owned));
        let region = region.or(table.region.clone());
        let region =
            region.or_else(|| url.region().map(str::to_owned)).ok_or_else(|| no_region(&url))?;
        checked_region(&region)?;
        let service = table.service.clone().unwrap_or_else(|| url.service().to_owned());
        let timeout =
            Duration::from_secs(shared.timeout.or(table.timeout).unwrap_or(DEFAULT_TIMEOUT));
        Ok(Self {
            name,
            region,
            service,
            timeout,
            client_token: client_token(&table, shared)?,
            aws_profile: shared.aws_profile.clone().or(table.aws_profile),
            caller_proof: table.caller_proof,
            cache: table.cache,
            device: table.device,
            duration: table.duration,
            signin_url: table.signin_url.as_deref().map(EndpointUrl::parse).transpose()?,
            url,
        })
    }

    /// The end point's name for people.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.url.authority())
    }
}

/// The table of a named end point: the one asked for, else the default, else the only one.
fn named(
    asked: Option<&str>,
    environment: &Environment,
) -> Result<(Option<String>, EndpointTable), Failure> {
    let file = SettingsFile::load(environment)?;
    let Some(name) = asked.or(file.default.as_deref()).or_else(|| file.only()) else {
        return Err(none_selected(&file));
    };
    match file.endpoints.get(name) {
        Some(table) => Ok((Some(name.to_owned()), table.clone())),
        None => Err(Failure::settings(
            format!("the settings have no end point `{}`", quoted(name)),
            format!("use one of: {}", file.names()),
        )),
    }
}

fn none_selected(file: &SettingsFile) -> Failure {
    if file.endpoints.is_empty() {
        Failure::settings(
            "no end point is set",
            "run `sentinel configure --url https://…`, or set SENTINEL_URL",
        )
    } else {
        Failure::settings(
            "the settings have several end points and no `default`",
            format!("choose one with --endpoint: {}", file.names()),
        )
    }
}

fn no_region(url: &EndpointUrl) -> Failure {
    Failure::settings(
        format!("the URL {} does not show its AWS region", url.authority()),
        "set `region` in the settings, SENTINEL_REGION or --region",
    )
}

/// The region, if it can be the name of one. It goes into files and host names.
pub(crate) fn checked_region(region: &str) -> Result<&str, Failure> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !region.is_empty() && region.len() <= 32 && region.chars().all(valid) {
        return Ok(region);
    }
    Err(Failure::settings(
        format!("`{}` is not the name of an AWS region", quoted(region)),
        "write it as in eu-central-1",
    ))
}

fn client_token(table: &EndpointTable, shared: &Shared) -> Result<ClientTokenSource, Failure> {
    if let Some(path) = &shared.client_token_file {
        return Ok(ClientTokenSource::File(path.clone()));
    }
    match (&table.client_token_file, table.client_token_keyring) {
        (Some(_), true) => Err(Failure::settings(
            "the end point has client_token_file and client_token_keyring",
            "keep one of them",
        )),
        (Some(path), false) => Ok(ClientTokenSource::File(path.clone())),
        (None, true) => Ok(ClientTokenSource::KeyRing),
        (None, false) => Ok(ClientTokenSource::None),
    }
}

#[cfg(test)]
mod tests;
