//! The ARNs that IAM gives callers, and nothing else.

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
        let known = scheme == "arn" && is_partition(partition) && region.is_empty() && is_account(account);
        let identity = Identity::parse(service, resource).filter(|_| known)?;
        Some(Self { arn, account, identity })
    }

    /// The ARN less its last segment, which the caller has chosen.
    pub(super) fn without_last_segment(&self) -> String {
        self.arn.rsplit_once('/').map_or(self.arn, |(kept, _)| kept).to_owned()
    }
}

impl<'a> Identity<'a> {
    fn parse(service: &str, resource: &'a str) -> Option<Self> {
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Some(Self::Root),
            ("iam", Some(("user", path_and_name))) => {
                let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
                (is_path(path) && is_name(name, 1..=64)).then_some(Self::User { name })
            }
            ("sts", Some(("assumed-role", role_and_session))) => {
                let (role, session) = role_and_session.split_once('/')?;
                (is_name(role, 1..=64) && is_name(session, 2..=64)).then_some(Self::AssumedRole { role, session })
            }
            ("sts", Some(("federated-user", name))) => is_name(name, 2..=32).then_some(Self::FederatedUser),
            _ => None,
        }
    }
}

/// The account of a role's ARN; none if `text` is not one with a literal account and name.
pub(crate) fn role_account(text: &str) -> Option<&str> {
    let mut parts = text.splitn(6, ':');
    let [scheme, partition, service, region, account, resource] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let (path, name) = resource.strip_prefix("role/")?.rsplit_once('/').unwrap_or(("", &resource["role/".len()..]));
    let known = scheme == "arn" && is_partition(partition) && service == "iam" && region.is_empty();
    (known && is_account(account) && is_path(path) && is_name(name, 1..=64)).then_some(account)
}

fn is_partition(text: &str) -> bool {
    matches!(text, "aws" | "aws-cn" | "aws-us-gov")
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// IAM's alphabet for the names of users, roles and sessions: `[\w+=,.@-]`, ASCII.
fn is_name(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// An IAM path without its outer slashes: segments of printable ASCII, up to 512 characters with them.
fn is_path(text: &str) -> bool {
    text.is_empty()
        || (text.len() <= 510
            && text.split('/').all(|segment| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_graphic())))
}
