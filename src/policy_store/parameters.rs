//! A bundle in SSM Parameter Store.
//!
//! Source: the SSM API reference on `GetParametersByPath`, as in the aws-sdk-ssm model.

use super::{RELOAD, ReloadError, announce, load};
use crate::alphabet::is_word;
use crate::policy::{BundleFiles, BundleOptions, Policy};
use crate::refreshed::{Outcome, Source};
use crate::upstream::{CallError, limited};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::Parameter;
use std::sync::Arc;
use std::time::Duration as StdDuration;
use time::Duration;

/// The time limit of one attempt at one page.
const ATTEMPT: StdDuration = StdDuration::from_millis(1_500);
/// After a failure Parameter Store is left alone for this long, or for the TTL if that is shorter.
const PAUSE: Duration = Duration::seconds(5);
/// How often a start tries again, and after which pause.
const START_RETRIES: u32 = 3;
const START_PAUSE: StdDuration = StdDuration::from_secs(1);

/// A path in Parameter Store: `/sentinel/policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPath(String);

/// The text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a path of Parameter Store, such as /sentinel/policy, without / at its end and not below /aws or /ssm"
)]
pub struct InvalidPath;

impl ParameterPath {
    /// Checks a path: at most 1011 of `[A-Za-z0-9_.-/]`, at most 13 levels, so that `policies/NAME`
    /// fits below it.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let levels: Vec<&str> = text.strip_prefix('/').ok_or(InvalidPath)?.split('/').collect();
        let first = levels[0].to_ascii_lowercase();
        let is_reserved = first.starts_with("aws") || first.starts_with("ssm");
        let fits = text.len() <= 1_011
            && levels.len() <= 13
            && levels.iter().all(|level| is_word(level, 1..=1_011, b"_.-"))
            && !is_reserved;
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidPath) }
    }
}

/// The parameters below a path, read as a policy.
#[derive(Debug)]
pub(super) struct Parameters {
    client: Client,
    path: ParameterPath,
    options: BundleOptions,
    ttl: Duration,
}

impl Parameters {
    pub(super) fn new(
        config: &aws_config::SdkConfig,
        path: &ParameterPath,
        options: BundleOptions,
        ttl: Duration,
    ) -> Self {
        let client = Client::new(&limited(config, ATTEMPT, None));
        Self { client, path: path.clone(), options, ttl }
    }

    /// The bundle as it is now, all pages of it.
    async fn files(&self) -> Result<BundleFiles, ReloadError> {
        let request = self.client.get_parameters_by_path().path(&self.path.0);
        let pages = request.recursive(true).with_decryption(true).into_paginator().send();
        let pages: Vec<_> = tokio::time::timeout(RELOAD, Box::pin(pages.try_collect()))
            .await
            .map_err(|_| ReloadError::TimedOut)?
            .map_err(|error| {
                CallError::of(&error).collapse(ReloadError::Refused, ReloadError::Unavailable)
            })?;
        let parameters = pages.into_iter().flat_map(|page| page.parameters.unwrap_or_default());
        let named = parameters.filter_map(|parameter| self.below_path(parameter));
        Ok(BundleFiles::from_parameters(named)?)
    }

    /// A parameter's name without the path, and its value.
    fn below_path(&self, parameter: Parameter) -> Option<(String, String)> {
        let name = parameter.name?;
        let below = name
            .strip_prefix(&self.path.0)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&name);
        Some((below.to_owned(), parameter.value?))
    }
}

impl Source for Parameters {
    type Value = Policy;
    type Error = ReloadError;

    /// A read takes three seconds at most, and then a moment to load the bundle.
    const ABANDONED_AFTER: Duration = Duration::seconds(4);

    /// Returns the held policy if its files have not changed.
    async fn read(&self, held: Option<Arc<Policy>>) -> Outcome<Self> {
        let files = self.files().await?;
        match held {
            Some(held) if held.digest() == files.digest() => Ok(held),
            _ => load(files, self.options.clone()).await,
        }
    }

    /// A time-out has lasted [`RELOAD`] already; the pause begins after that.
    fn pause(&self, error: &ReloadError) -> Duration {
        let lasted = if *error == ReloadError::TimedOut { RELOAD } else { StdDuration::ZERO };
        PAUSE.min(self.ttl) + lasted
    }

    fn report(&self, outcome: &Outcome<Self>, held: Option<&Arc<Policy>>, age: Option<Duration>) {
        match outcome {
            Ok(policy) => {
                if held.is_none_or(|held| held.digest() != policy.digest()) {
                    announce(policy);
                }
            }
            Err(error) => {
                let age_seconds = age.map(Duration::whole_seconds);
                tracing::warn!(
                    %error,
                    age_seconds,
                    "the policy could not be reloaded; the last good one stays in force"
                );
            }
        }
    }
}

/// The first policy. In the middle of a change, or while many starts are throttled, a second read
/// may succeed; Lambda gives a start ten seconds.
pub(super) async fn first_policy(parameters: &Parameters) -> Outcome<Parameters> {
    let mut read = parameters.read(None).await;
    for _ in 0..START_RETRIES {
        match &read {
            Err(ReloadError::Unavailable(_)) => {}
            Err(ReloadError::Bundle(error)) if error.is_mixture() => {}
            _ => break,
        }
        tokio::time::sleep(START_PAUSE).await;
        read = parameters.read(None).await;
    }
    read
}
