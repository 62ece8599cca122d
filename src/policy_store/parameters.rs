//! A bundle's text in SSM Parameter Store.
//!
//! Source: the SSM API reference on `GetParametersByPath`, as in the aws-sdk-ssm model.

use super::ReloadError;
use crate::aws::Failure;
use crate::policy::BundleText;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::timeout::TimeoutConfig;
use aws_sdk_ssm::types::Parameter;
use std::time::Duration;

/// One attempt at one page.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// A path of Parameter Store: `/sentinel/policy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterPath(String);

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a path of Parameter Store, such as /sentinel/policy, without / at its end and not below /aws or /ssm"
)]
pub struct InvalidPath;

impl ParameterPath {
    /// Checks a path: at most 1011 of `[A-Za-z0-9_.-/]`, at most 13 levels, so that `policies/NAME` fits below it.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let levels: Vec<&str> = text.strip_prefix('/').ok_or(InvalidPath)?.split('/').collect();
        let level = |level: &&str| {
            !level.is_empty()
                && level.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let first = levels[0].to_ascii_lowercase();
        let reserved = first.starts_with("aws") || first.starts_with("ssm");
        let fits =
            text.len() <= 1_011 && levels.len() <= 13 && levels.iter().all(level) && !reserved;
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidPath) }
    }
}

/// The parameters below a path.
#[derive(Debug)]
pub(super) struct Parameters {
    client: Client,
    path: ParameterPath,
}

impl Parameters {
    pub(super) fn new(config: &aws_config::SdkConfig, path: &ParameterPath) -> Self {
        let config = aws_sdk_ssm::config::Builder::from(config)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self { client: Client::from_conf(config), path: path.clone() }
    }

    /// The bundle's text as it is now, all pages of it.
    pub(super) async fn text(&self, within: Duration) -> Result<BundleText, ReloadError> {
        let pages = self
            .client
            .get_parameters_by_path()
            .path(&self.path.0)
            .recursive(true)
            .with_decryption(true);
        let pages = Box::pin(pages.into_paginator().send().try_collect());
        let pages: Vec<_> =
            tokio::time::timeout(within, pages).await.map_err(|_| ReloadError::TimedOut)?.map_err(
                |error| Failure::of(&error).either(ReloadError::Refused, ReloadError::Unavailable),
            )?;
        let parameters = pages.into_iter().flat_map(|page| page.parameters.unwrap_or_default());
        Ok(BundleText::from_parameters(
            parameters.filter_map(|parameter| self.below_path(parameter)),
        )?)
    }

    /// A parameter's name without the path, and its text.
    fn below_path(&self, parameter: Parameter) -> Option<(String, String)> {
        let name = parameter.name?;
        let below = name
            .strip_prefix(&self.path.0)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&name);
        Some((below.to_owned(), parameter.value?))
    }
}
