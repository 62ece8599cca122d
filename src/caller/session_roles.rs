//! Roles whose session names identify people.

use crate::alphabet::{is_account, is_word};
use std::fmt;

/// Roles whose sessions an identity provider names, not the person who assumes the role.
///
/// Each item is `PATTERN`, for roles of the function's own account, or `ACCOUNT:PATTERN`, for roles
/// of that account. `*` in a pattern matches any run of characters. The default is the roles of IAM
/// Identity Center, in the function's own account.
///
/// An account matters, because whoever administers an account can create a role of any name there
/// and choose its session names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSessionRoles(Vec<RolePattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct RolePattern {
    /// `None` for the function's own account.
    account: Option<String>,
    pattern: String,
}

/// [`NamedSessionRoles`] of a function in a known account.
#[derive(Debug, Clone, Copy)]
pub struct NamedSessions<'a> {
    roles: &'a NamedSessionRoles,
    own_account: Option<&'a str>,
}

/// The text is not a list of patterns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a role-name pattern is 1 to 64 of A-Z a-z 0-9 _ + = . @ - and *, is more than stars, and may follow an account and a colon"
)]
pub struct InvalidPattern;

impl NamedSessionRoles {
    /// Parses a comma-separated list; blanks around an item are dropped.
    pub fn parse(list: &str) -> Result<Self, InvalidPattern> {
        list.split(',')
            .map(|item| RolePattern::parse(item.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The same roles, seen from a function in `own_account`. Without an account, a pattern without
    /// an account matches nothing.
    #[must_use]
    pub fn of_function_in<'a>(&'a self, own_account: Option<&'a str>) -> NamedSessions<'a> {
        NamedSessions { roles: self, own_account }
    }

    /// Whether a function in some account could count the sessions of this role as people.
    pub(super) fn could_contain(&self, account: &str, role: &str) -> bool {
        let is_possible =
            |item: &RolePattern| item.account.as_deref().is_none_or(|own| own == account);
        self.0.iter().any(|item| is_possible(item) && matches(&item.pattern, role))
    }
}

impl NamedSessions<'_> {
    /// Whether an identity provider names the sessions of the role `role` in `account`.
    #[must_use]
    pub fn contains(&self, account: &str, role: &str) -> bool {
        let is_owner = |item: &RolePattern| match &item.account {
            Some(owner) => owner == account,
            None => self.is_own(account),
        };
        self.roles.0.iter().any(|item| is_owner(item) && matches(&item.pattern, role))
    }

    /// Whether `account` is the function's own.
    pub(super) fn is_own(&self, account: &str) -> bool {
        self.own_account == Some(account)
    }
}

impl Default for NamedSessionRoles {
    fn default() -> Self {
        Self(vec![RolePattern { account: None, pattern: "AWSReservedSSO_*".to_owned() }])
    }
}

impl fmt::Display for NamedSessionRoles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, RolePattern { account, pattern }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match account {
                Some(account) => write!(out, "{comma}{account}:{pattern}")?,
                None => write!(out, "{comma}{pattern}")?,
            }
        }
        Ok(())
    }
}

impl RolePattern {
    /// Rejects a pattern of stars alone: it would trust every session name.
    fn parse(item: &str) -> Result<Self, InvalidPattern> {
        let (account, pattern) = match item.split_once(':') {
            Some((account, pattern)) if is_account(account) => (Some(account.to_owned()), pattern),
            Some(_) => return Err(InvalidPattern),
            None => (None, item),
        };
        let says_something = pattern.bytes().any(|byte| byte != b'*');
        if says_something && is_word(pattern, 1..=64, b"_+=.@-*") {
            Ok(Self { account, pattern: pattern.to_owned() })
        } else {
            Err(InvalidPattern)
        }
    }
}

/// The literal pieces between the stars must occur in order, the first at the start and the last at
/// the end.
fn matches(pattern: &str, role: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == role;
    };
    let Some(mut left) = role.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "123456789012";
    const OTHER: &str = "210987654321";

    #[test]
    fn stars_match_any_run_and_literals_match_exactly() {
        for (pattern, role, expected) in [
            ("AWSReservedSSO_*", "AWSReservedSSO_Dev_0123456789abcdef", true),
            ("AWSReservedSSO_*", "AWSReservedSSO_", true),
            ("AWSReservedSSO_*", "xAWSReservedSSO_Dev", false),
            ("AWSReservedSSO_*", "awsreservedsso_Dev", false),
            ("Okta-*-People", "Okta-Dev-People", true),
            ("Okta-*-People", "Okta-People", false),
            ("Okta-*-People", "Okta-Dev-Robots", false),
            ("Okta-*-People", "Okta-Dev-People-x", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            let roles = NamedSessionRoles::parse(pattern).unwrap();
            let named = roles.of_function_in(Some(OWN));
            assert_eq!(named.contains(OWN, role), expected, "{pattern} on {role}");
        }
    }

    /// THREAT: somebody creates a role called like Identity Center's in an account of their own, and
    /// names its sessions after other people.
    /// PREVENTION: a pattern counts for the function's own account, or for the one it names.
    #[test]
    fn security_a_pattern_counts_for_one_account() {
        let roles = NamedSessionRoles::parse("AWSReservedSSO_*, 210987654321:Okta-*").unwrap();
        let named = roles.of_function_in(Some(OWN));
        assert!(named.contains(OWN, "AWSReservedSSO_x") && named.contains(OTHER, "Okta-x"));
        assert!(!named.contains(OTHER, "AWSReservedSSO_x") && !named.contains(OWN, "Okta-x"));
        let unknown = roles.of_function_in(None);
        assert!(!unknown.contains(OWN, "AWSReservedSSO_x") && unknown.contains(OTHER, "Okta-x"));
    }

    #[test]
    fn a_list_is_split_at_commas_and_odd_patterns_are_refused() {
        let text = "AWSReservedSSO_*,210987654321:Okta-*";
        assert_eq!(NamedSessionRoles::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "*",
            "**",
            "a,,b",
            "a b",
            "arn:aws:iam::123456789012:role/x",
            "r\u{e9}le",
            ":x",
            "12345678901:x",
            "123456789012:",
            "123456789012:*",
            "*:x",
        ] {
            assert_eq!(NamedSessionRoles::parse(bad), Err(InvalidPattern), "{bad}");
        }
    }
}
