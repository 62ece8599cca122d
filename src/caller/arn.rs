//! The ARNs of IAM's callers: users, root users, assumed roles, federated users.

use super::NamedSessionRoles;
use crate::alphabet::{is_account, is_printable, is_word};

/// The parts of a caller's ARN. Borrowed from it.
pub(super) struct ParsedArn<'a> {
    arn: &'a str,
    pub(super) account: &'a str,
    pub(super) identity: Identity<'a>,
}

pub(super) enum Identity<'a> {
    User { name: &'a str },
    Root,
    AssumedRole { role: &'a str, session: &'a str },
    FederatedUser,
}

impl<'a> ParsedArn<'a> {
    pub(super) fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let mut next = || parts.next();
        let (scheme, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let known =
            scheme == "arn" && is_partition(partition) && region.is_empty() && is_account(account);
        let identity = Identity::parse(service, resource).filter(|_| known)?;
        Some(Self { arn, account, identity })
    }

    /// The ARN without its last segment, which the caller chose.
    pub(super) fn without_last_segment(&self) -> String {
        self.arn.rsplit_once('/').map_or(self.arn, |(kept, _)| kept).to_owned()
    }
}

impl<'a> Identity<'a> {
    fn parse(service: &str, resource: &'a str) -> Option<Self> {
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Some(Self::Root),
            ("iam", Some(("user", path_and_name))) => {
                name_after_path(path_and_name, 64).map(|name| Self::User { name })
            }
            ("sts", Some(("assumed-role", role_and_session))) => {
                let (role, session) = role_and_session.split_once('/')?;
                (is_name(role, 1..=64) && is_name(session, 2..=64))
                    .then_some(Self::AssumedRole { role, session })
            }
            ("sts", Some(("federated-user", name))) => {
                is_name(name, 2..=32).then_some(Self::FederatedUser)
            }
            _ => None,
        }
    }
}

/// The partition and account of a role's ARN; `None` if `text` is not one with a literal account
/// and name.
pub(crate) fn role_owner(text: &str) -> Option<(&str, &str)> {
    iam_resource(text, "role/", 64).filter(|(_, account)| is_account(account))
}

/// The partition and account of a managed policy's ARN; the account is `aws` if AWS manages it.
pub(crate) fn managed_policy_owner(text: &str) -> Option<(&str, &str)> {
    iam_resource(text, "policy/", 128)
        .filter(|(_, account)| is_account(account) || *account == "aws")
}

fn iam_resource<'a>(text: &'a str, kind: &str, longest_name: usize) -> Option<(&'a str, &'a str)> {
    let mut parts = text.splitn(6, ':');
    let [scheme, partition, service, region, account, resource] =
        std::array::from_fn(|_| parts.next().unwrap_or_default());
    let known = scheme == "arn" && is_partition(partition) && service == "iam" && region.is_empty();
    let named =
        resource.strip_prefix(kind).and_then(|rest| name_after_path(rest, longest_name)).is_some();
    (known && named).then_some((partition, account))
}

/// Whether `text` can be a principal; `named` are the roles whose sessions are principals of their
/// own.
pub(crate) fn is_principal(text: &str, named: &NamedSessionRoles) -> bool {
    match ParsedArn::parse(text).map(|parsed| parsed.identity) {
        Some(Identity::User { .. } | Identity::Root) => true,
        Some(Identity::AssumedRole { role, .. }) => named.could_contain(account(text), role),
        Some(Identity::FederatedUser) => false,
        None => match ParsedArn::parse(&format!("{text}/session")).map(|parsed| parsed.identity) {
            Some(Identity::AssumedRole { role, .. }) => !named.could_contain(account(text), role),
            Some(Identity::FederatedUser) => true,
            Some(Identity::User { .. } | Identity::Root) | None => false,
        },
    }
}

fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The account in the ARN of a Lambda function; `None` if `text` is not one.
pub(crate) fn function_owner(text: &str) -> Option<&str> {
    let mut parts = text.split(':');
    let [scheme, partition, service] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let (_region, account) = (parts.next()?, parts.next()?);
    let known = scheme == "arn" && is_partition(partition) && service == "lambda";
    (known && is_account(account)).then_some(account)
}

/// The name in `name` or `some/path/name`. A path's segments are printable ASCII, at most 512
/// characters with all slashes.
fn name_after_path(text: &str, longest_name: usize) -> Option<&str> {
    let name = match text.rsplit_once('/') {
        None => text,
        Some((path, name)) if path.len() <= 510 && path.split('/').all(is_printable) => name,
        Some(_) => return None,
    };
    is_name(name, 1..=longest_name).then_some(name)
}

/// AWS's partitions and their DNS suffixes. Source: `partitions.json` in botocore; a test compares
/// both.
const PARTITIONS: [(&str, &str); 8] = [
    ("aws", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
    ("aws-eusc", "amazonaws.eu"),
    ("aws-iso", "c2s.ic.gov"),
    ("aws-iso-b", "sc2s.sgov.gov"),
    ("aws-iso-e", "cloud.adc-e.uk"),
    ("aws-iso-f", "csp.hci.ic.gov"),
    ("aws-us-gov", "amazonaws.com"),
];

/// The host of STS in `region`, in the partition of `arn`.
pub(crate) fn sts_host(arn: &str, region: &str) -> String {
    let partition = arn.split(':').nth(1).unwrap_or_default();
    let known = PARTITIONS.iter().find(|(name, _)| *name == partition);
    let (_, suffix) = known.unwrap_or(&PARTITIONS[0]);
    format!("sts.{region}.{suffix}")
}

fn is_partition(text: &str) -> bool {
    PARTITIONS.iter().any(|(name, _)| *name == text)
}

/// IAM's alphabet for the names of users, roles and sessions: `[\w+=,.@-]`, ASCII.
fn is_name(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    is_word(text, length, b"_+=,.@-")
}
