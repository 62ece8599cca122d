//! The environment of the command.
//!
//! Invariant: the command finds the vended credentials and no others. SDKs look at variables and at the profile `default`
//! before they look at a container's end point, so whatever would win is removed.

use std::ffi::OsString;
use std::process::Command;

use crate::aws_files::AwsConfig;
use crate::environment::Environment;
use crate::server::Server;

/// Variables that name other credentials.
const OTHERS: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Settings of a profile from which an SDK gets credentials.
const GIVES_CREDENTIALS: [&str; 8] = [
    "aws_access_key_id",
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

const NOTHING: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// The command, without anything that names other credentials.
pub(super) fn command(words: &[OsString], environment: &Environment) -> Command {
    let (program, arguments) =
        words.split_first().map_or((OsString::new(), words), |(first, rest)| (first.clone(), rest));
    let mut command = Command::new(program);
    command.args(arguments);
    for name in OTHERS {
        command.env_remove(name);
    }
    // The region of the profile that was chosen, as the profile is not seen any more.
    if let Some(region) = region(environment) {
        command.env("AWS_REGION", &region).env("AWS_DEFAULT_REGION", region);
    }
    command
}

/// Leads the command to the server.
pub(super) fn use_server(command: &mut Command, server: &Server, environment: &Environment) {
    command
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url())
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", server.token());
    if default_gives_credentials(environment) {
        command.env("AWS_CONFIG_FILE", NOTHING).env("AWS_SHARED_CREDENTIALS_FILE", NOTHING);
    }
}

fn region(environment: &Environment) -> Option<String> {
    if environment.text("AWS_REGION").or(environment.text("AWS_DEFAULT_REGION")).is_some() {
        return None;
    }
    let config = AwsConfig::read(environment.aws_config_file().as_deref());
    let profile = environment.text("AWS_PROFILE").unwrap_or("default");
    config.setting(profile, "region").map(str::to_owned)
}

/// Whether the profile `default` would win over the server.
fn default_gives_credentials(environment: &Environment) -> bool {
    [environment.aws_config_file(), environment.aws_credentials_file()].iter().any(|file| {
        let config = AwsConfig::read(file.as_deref());
        let settings = config.profile("default").unwrap_or_default();
        settings.iter().any(|(name, _)| GIVES_CREDENTIALS.contains(name))
    })
}
