//! The caller's own AWS credentials, which sign the requests.
//!
//! With `aws_profile`, they are that profile's. Else the SDK's default chain finds them: variables, the profile of
//! `AWS_PROFILE`, web identity, containers, instances.
//!
//! Invariant: no message of a provider reaches the terminal. A `credential_process` may print anything.

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;

use crate::aws_files::AwsConfig;
use crate::clock::{self, Deadline};
use crate::environment::Environment;
use crate::failure::{Exit, Failure, chain_of, quoted};
use crate::http::Http;
use crate::settings::Endpoint;
use crate::terminal::waiting;

/// Finds the credentials.
pub(crate) async fn resolve(
    endpoint: &Endpoint,
    environment: &Environment,
    http: &Http,
    deadline: Deadline,
) -> Result<Credentials, Failure> {
    let source = Source::of(endpoint, environment);
    refuse_circle(&source, environment)?;
    let waited = format!("the AWS credentials of {source}");
    let found =
        waiting(&waited, tokio::time::timeout(deadline.left(), source.find(endpoint, http)));
    let credentials = match found.await {
        Ok(Ok(credentials)) => credentials,
        Ok(Err(error)) => return Err(source.failure(&error)),
        Err(_) => return Err(source.late()),
    };
    if credentials.expiry().is_some_and(|expiry| expiry <= clock::now()) {
        return Err(source.problem("have expired", &source.renewal()));
    }
    Ok(credentials)
}

/// Whose credentials sign.
#[derive(Debug)]
enum Source {
    /// The profile of the settings or of a flag.
    Profile(String),
    /// The SDK's default chain, in which `AWS_PROFILE` may name a profile.
    Default { profile: Option<String>, keys: bool },
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default { keys: true, .. } => formatter.write_str("the environment variables"),
            Self::Profile(name) | Self::Default { profile: Some(name), .. } => {
                write!(formatter, "the profile `{}`", quoted(name))
            }
            Self::Default { .. } => formatter.write_str("the default chain"),
        }
    }
}

impl Source {
    fn of(endpoint: &Endpoint, environment: &Environment) -> Self {
        match &endpoint.aws_profile {
            Some(profile) => Self::Profile(profile.clone()),
            None => Self::Default {
                profile: environment.text("AWS_PROFILE").map(str::to_owned),
                keys: environment.text("AWS_ACCESS_KEY_ID").is_some(),
            },
        }
    }

    async fn find(
        &self,
        endpoint: &Endpoint,
        http: &Http,
    ) -> Result<Credentials, CredentialsError> {
        let region = self.region().await.unwrap_or_else(|| Region::new(endpoint.region.clone()));
        let config = ProviderConfig::without_region()
            .with_http_client(http.for_sdk())
            .with_region(Some(region.clone()));
        match self {
            Self::Profile(name) => {
                let provider = ProfileFileCredentialsProvider::builder();
                provider.configure(&config).profile_name(name).build().provide_credentials().await
            }
            Self::Default { .. } => {
                let chain = DefaultCredentialsChain::builder().configure(config).region(region);
                chain.build().await.provide_credentials().await
            }
        }
    }

    /// The region for the services that the providers call, such as IAM Identity Center.
    async fn region(&self) -> Option<Region> {
        let chain = DefaultRegionChain::builder();
        match self {
            Self::Profile(name) => chain.profile_name(name).build().region().await,
            Self::Default { keys: true, .. } => None,
            Self::Default { .. } => chain.build().region().await,
        }
    }

    fn failure(&self, error: &CredentialsError) -> Failure {
        let mentions = |words: &[&str]| {
            let chain = chain_of(error).to_ascii_lowercase();
            words.iter().any(|word| chain.contains(word))
        };
        match error {
            CredentialsError::CredentialsNotLoaded(_) => self.not_found(),
            CredentialsError::ProviderTimedOut(_) => self.late(),
            _ if mentions(&[
                "expired",
                "unauthorizedexception",
                "invalid_grant",
                "not found in cache",
                "token not found",
            ]) =>
            {
                self.problem("have expired", &self.renewal())
            }
            CredentialsError::InvalidConfiguration(_) => self.problem(
                "are not configured correctly",
                "correct the AWS configuration; `aws sts get-caller-identity` shows the details",
            ),
            // Nothing names a source, and the last one that was tried is the metadata service of an instance.
            _ if matches!(self, Self::Default { profile: None, keys: false }) => self.not_found(),
            _ => self.problem(
                "could not be read from their provider",
                "run `aws sts get-caller-identity` with the same profile: it shows the details",
            ),
        }
    }

    fn not_found(&self) -> Failure {
        self.problem(
            "were not found",
            "log in, as with `aws sso login` or `aws login`, and name the profile with --aws-profile",
        )
    }

    fn late(&self) -> Failure {
        self.problem("did not come in time", "try again, or with a longer --timeout")
    }

    fn problem(&self, what: &str, next: &str) -> Failure {
        Failure::new(Exit::AwsCredentials, format!("the AWS credentials of {self} {what}"), next)
    }

    /// How to renew a session.
    fn renewal(&self) -> String {
        match self {
            Self::Profile(name) | Self::Default { profile: Some(name), keys: false } => {
                let name = quoted(name);
                format!(
                    "log in again: `aws sso login --profile {name}` or `aws login --profile {name}`"
                )
            }
            Self::Default { keys: true, .. } => "set new values, or unset the variables".to_owned(),
            Self::Default { .. } => "log in again: `aws sso login` or `aws login`".to_owned(),
        }
    }
}

/// Refuses a profile whose credentials come from this program: it would start itself without end.
fn refuse_circle(source: &Source, environment: &Environment) -> Result<(), Failure> {
    let name = match source {
        Source::Default { keys: true, .. } => return Ok(()),
        Source::Profile(name) | Source::Default { profile: Some(name), .. } => name,
        Source::Default { .. } => "default",
    };
    let config = AwsConfig::read(environment.aws_config_file().as_deref());
    if !config.leads_back(name) {
        return Ok(());
    }
    Err(source.problem(
        "come from sentinel itself",
        "name the profile that you log in with: `aws_profile` in the settings, or --aws-profile",
    ))
}
