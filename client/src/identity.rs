//! Who signs: the identity that AWS sees, and the principal that the end point makes of it.
//!
//! The rules are those of `docs/api.md`, "Principals", with the default of `SENTINEL_NAMED_SESSION_ROLES`. Only the end point
//! knows its own setting, so what is derived here is a preview.

use http::header::{CONTENT_TYPE, HOST};
use serde::Serialize;

use crate::aws_files::AwsConfig;
use crate::endpoint::Client;
use crate::failure::{Exit, Failure, quoted};
use crate::http::unreachable;
use crate::proof::{GET_CALLER_IDENTITY, sts_host};
use crate::sign::{Scope, signed};

/// Roles whose session names identify people, unless the operator configured others.
const NAMED_SESSIONS: &str = "AWSReservedSSO_";

/// An AWS identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Identity {
    pub(crate) arn: String,
    pub(crate) account: String,
    /// What quotas and policies see.
    pub(crate) principal: String,
    pub(crate) name: String,
}

impl Identity {
    /// Asks STS who signs.
    pub(crate) async fn of(client: &Client<'_>) -> Result<Self, Failure> {
        let url = sts_url(client);
        let uri: http::Uri = url.parse().map_err(|_| {
            Failure::settings(
                "the AWS configuration has an endpoint_url that is not a URL",
                "correct it",
            )
        })?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let request = http::Request::post(uri)
            .header(HOST, &host)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(GET_CALLER_IDENTITY.to_owned())
            .unwrap_or_default();
        let scope = Scope { region: &client.endpoint.region, service: "sts" };
        let request = signed(request, scope, &client.credentials)?;
        let reply = client
            .http
            .send(request, client.deadline)
            .await
            .map_err(|reason| unreachable(reason, &host))?;
        let body = String::from_utf8_lossy(&reply.body);
        if reply.status != 200 {
            let code = quoted(element(&body, "Code").unwrap_or("no code"));
            return Err(Failure::new(
                Exit::AwsCredentials,
                format!("STS does not accept your AWS credentials ({code}, HTTP {})", reply.status),
                "log in again, as with `aws sso login` or `aws login`, and check the clock",
            ));
        }
        let arn = element(&body, "Arn").ok_or_else(|| {
            Failure::unavailable(
                format!("the reply of {host} is not one of STS"),
                "check AWS_ENDPOINT_URL",
            )
        })?;
        Ok(Self::from_arn(&quoted(arn)))
    }

    fn from_arn(arn: &str) -> Self {
        let mut parts = arn.splitn(6, ':').skip(4);
        let account = parts.next().unwrap_or_default().to_owned();
        let resource = parts.next().unwrap_or_default();
        let prefix = arn.strip_suffix(resource).unwrap_or_default();
        let (principal, name) = match resource.split('/').collect::<Vec<_>>()[..] {
            ["assumed-role", role, session] if role.starts_with(NAMED_SESSIONS) => {
                (arn.to_owned(), session)
            }
            ["assumed-role", role, _] => (format!("{prefix}assumed-role/{role}"), role),
            ["federated-user", _] => (format!("{prefix}federated-user"), "federated-user"),
            ["user", .., name] => (arn.to_owned(), name),
            _ => (arn.to_owned(), resource),
        };
        Self { arn: arn.to_owned(), account, principal, name: name.to_owned() }
    }

    /// Whether the session name was dropped from the principal.
    pub(crate) fn is_shared(&self) -> bool {
        self.principal != self.arn
    }
}

/// STS in the region of the end point, or where the AWS configuration says that AWS is.
fn sts_url(client: &Client<'_>) -> String {
    let environment = client.environment;
    let config = AwsConfig::read(environment.aws_config_file().as_deref());
    let profile = client.endpoint.aws_profile.as_deref().or(environment.text("AWS_PROFILE"));
    let elsewhere = environment
        .text("AWS_ENDPOINT_URL_STS")
        .or_else(|| environment.text("AWS_ENDPOINT_URL"))
        .or_else(|| config.setting(profile.unwrap_or("default"), "endpoint_url"));
    match elsewhere {
        Some(url) => format!("{}/", url.trim_end_matches('/')),
        None => format!("https://{}/", sts_host(&client.endpoint.region)),
    }
}

/// The text of the first XML element with this name.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_those_of_the_api() {
        for (arn, principal, name) in [
            (
                "arn:aws:iam::123456789012:user/p/alice",
                "arn:aws:iam::123456789012:user/p/alice",
                "alice",
            ),
            (
                "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_1/alice@example.com",
                "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Dev_1/alice@example.com",
                "alice@example.com",
            ),
            (
                "arn:aws:sts::123456789012:assumed-role/ci/run-7",
                "arn:aws:sts::123456789012:assumed-role/ci",
                "ci",
            ),
            (
                "arn:aws:sts::123456789012:federated-user/bob",
                "arn:aws:sts::123456789012:federated-user",
                "federated-user",
            ),
            ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root", "root"),
        ] {
            let identity = Identity::from_arn(arn);
            assert_eq!((identity.principal.as_str(), identity.name.as_str()), (principal, name));
            assert_eq!(identity.account, "123456789012");
        }
    }
}
