//! The caller: the IAM identity in the event, and the names that quotas, policies and STS sessions
//! derive from it.
//!
//! Invariant: a [`Caller`] comes only from an ARN that IAM put into the request context and that
//! has exactly the shape of an IAM ARN; any other event is refused as [`Unauthenticated`]. Names
//! that callers choose themselves (most role session names, all federated user names) are part of
//! no key and of no derived name.
//!
//! Shapes and alphabets: IAM user guide, "IAM identifiers" and "IAM and AWS STS quotas".

mod arn;
mod session_roles;
mod signature;

use crate::alphabet::is_word;
use crate::digest::{DIGEST_LENGTH, short_digest};
use crate::event::{Event, IamIdentity};
use arn::{Identity, ParsedArn};
pub(crate) use arn::{function_owner, is_principal, managed_policy_owner, role_owner, sts_host};
use serde::Serialize;
pub use session_roles::{InvalidPattern, NamedSessionRoles, NamedSessions};
pub use signature::MaxRequestAge;
use std::fmt;
use std::net::IpAddr;

/// Why an event has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// The request context carries no IAM identity, or two that AWS never sends together.
    #[error("the request context has no IAM identity; the URL or API must use IAM authentication")]
    NoIdentity,
    /// The signature is in the query. Such a URL works for whoever holds it.
    #[error("the request is pre-signed; its URL would work for everybody who sees it")]
    Presigned,
    /// The signature's date is too far from now.
    #[error("the request was signed more than {0} s ago")]
    TooOld(u32),
    /// The signature's date is malformed.
    #[error("the x-amz-date header is not a date")]
    UnknownDate,
    /// The ARN is not that of an IAM user, an assumed role, a federated user or a root user.
    #[error("the request context's ARN is not one that IAM gives a caller")]
    UnknownArn,
}

/// The kind of an IAM identity. The names are the resource types of IAM's ARNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallerKind {
    /// An IAM user.
    User,
    /// A session of an IAM role, Identity Center permission sets included.
    AssumedRole,
    /// A `GetFederationToken` session.
    FederatedUser,
    /// An account's root user.
    Root,
}

impl CallerKind {
    /// The kind's name in policies and in the audit line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::AssumedRole => "assumed-role",
            Self::FederatedUser => "federated-user",
            Self::Root => "root",
        }
    }
}

/// The key of quotas and policies: the ARN without the parts that callers choose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(String);

impl Principal {
    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A verified caller.
#[derive(Debug, Clone)]
pub struct Caller {
    arn: String,
    principal: Principal,
    account: String,
    kind: CallerKind,
    name: String,
    session_name: Option<String>,
    unique_id: Option<String>,
    org: Option<String>,
    source_ip: Option<IpAddr>,
    name_is_unique: bool,
}

impl Caller {
    /// The caller of `event`; `named` are the sessions whose names identify people.
    pub fn from_event(
        event: &Event<'_>,
        named: NamedSessions<'_>,
    ) -> Result<Self, Unauthenticated> {
        let identity = event.iam_identity().ok_or(Unauthenticated::NoIdentity)?;
        Self::verified(identity, event.source_ip(), named)
    }

    /// The caller with an identity that AWS has verified, at `source_ip`.
    pub fn verified(
        identity: &IamIdentity<'_>,
        source_ip: Option<IpAddr>,
        named: NamedSessions<'_>,
    ) -> Result<Self, Unauthenticated> {
        let arn = &*identity.user_arn;
        let parsed = ParsedArn::parse(arn).ok_or(Unauthenticated::UnknownArn)?;
        let (kind, principal, name, session_name) = match parsed.identity {
            Identity::User { name } => (CallerKind::User, arn.to_owned(), name, None),
            Identity::Root => (CallerKind::Root, arn.to_owned(), "root", None),
            Identity::AssumedRole { role, session } if named.contains(parsed.account, role) => {
                (CallerKind::AssumedRole, arn.to_owned(), session, Some(session.to_owned()))
            }
            Identity::AssumedRole { role, .. } => {
                (CallerKind::AssumedRole, parsed.without_last_segment(), role, None)
            }
            Identity::FederatedUser => {
                (CallerKind::FederatedUser, parsed.without_last_segment(), "federated-user", None)
            }
        };
        let name_is_unique = named.is_own(parsed.account)
            && match kind {
                CallerKind::User => !name.contains('@'),
                CallerKind::AssumedRole => session_name.is_some() && name.contains('@'),
                CallerKind::FederatedUser | CallerKind::Root => false,
            };
        Ok(Self {
            arn: arn.to_owned(),
            principal: Principal(principal),
            account: parsed.account.to_owned(),
            kind,
            name: name.to_owned(),
            session_name,
            unique_id: identity.unique_id().map(str::to_owned),
            name_is_unique,
            org: identity.org.as_deref().map(str::to_owned),
            source_ip,
        })
    }

    /// The full ARN, role session name included. For the audit line only: callers may have chosen a
    /// part of it.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The key of quotas and policies.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The caller's account, 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The kind of identity.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        self.kind
    }

    /// The short name: of the user, of the person (named sessions), or of the role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role session name, only where it identifies a person.
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        self.session_name.as_deref()
    }

    /// IAM's unique id of the user (`AIDA…`) or role (`AROA…`), if the event has it. A role that is
    /// deleted and created again under the same name has another one.
    #[must_use]
    pub fn unique_id(&self) -> Option<&str> {
        self.unique_id.as_deref()
    }

    /// The caller's AWS Organization (`o-…`), if the event has it.
    #[must_use]
    pub fn org(&self) -> Option<&str> {
        self.org.as_deref()
    }

    /// The address that the request came from, if the event has it.
    #[must_use]
    pub fn source_ip(&self) -> Option<IpAddr> {
        self.source_ip
    }

    /// `sentinel-` and the short name, within STS's 64 characters of `[\w+=,.@-]`.
    ///
    /// Two names stay as they are, because they never meet: that of an IAM user without `@`, and
    /// that of a person with `@`, both of the function's own account. All others are followed by a
    /// digest of the principal. So a user, a role and a person of the same short name, or callers of
    /// different accounts, never share a SourceIdentity; one person's permission sets do.
    #[must_use]
    pub fn source_identity(&self) -> String {
        let name = if self.name_is_unique { self.sts_name() } else { self.name_with_digest() };
        format!("sentinel-{name}")
    }

    /// The short name and `-` and `suffix`, which must be 8 characters, within STS's 64 characters
    /// of `[\w+=,.@-]`.
    #[must_use]
    pub fn session_name_for(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.sts_name())
    }

    /// The short name in STS's limits: unchanged if it fits, else cut and followed by a digest of
    /// the principal.
    ///
    /// A name that already looks like a cut one is cut too, so that nobody can be named like
    /// somebody else's digest.
    fn sts_name(&self) -> String {
        if self.name.len() <= NAME_LENGTH && !ends_like_a_digest(&self.name) {
            return self.name.clone();
        }
        self.name_with_digest()
    }

    fn name_with_digest(&self) -> String {
        let kept = &self.name[..self.name.len().min(NAME_LENGTH - DIGEST_LENGTH - 1)];
        format!("{kept}{DIGEST_MARK}{}", short_digest(self.principal.as_str()))
    }
}

/// STS accepts 64 characters; `sentinel-` and `-xxxxxxxx` leave 55 for the name.
const NAME_LENGTH: usize = 55;
const DIGEST_MARK: char = '=';

fn ends_like_a_digest(name: &str) -> bool {
    name.rsplit_once(DIGEST_MARK).is_some_and(|(_, end)| {
        end.len() == DIGEST_LENGTH
            && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl IamIdentity<'_> {
    /// The part of the user id before the colon, for users and roles only: elsewhere it is an
    /// account id. Source: "IAM identifiers", "Unique identifiers", in the IAM user guide.
    fn unique_id(&self) -> Option<&str> {
        let id = self.user_id.as_deref()?.split(':').next()?;
        let is_known = id.starts_with("AIDA") || id.starts_with("AROA");
        (is_known && is_word(id, 16..=128, b"")).then_some(id)
    }
}

#[cfg(test)]
mod tests;
