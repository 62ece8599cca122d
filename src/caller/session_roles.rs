//! Roles whose session names identify people.

use crate::alphabet::is_word;
use std::fmt;

/// Patterns for the names of roles whose sessions an identity provider names, not the person who
/// assumes the role. The default is those of IAM Identity Center. `*` matches any run of
/// characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSessionRoles(Vec<String>);

/// The text is not a list of patterns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role-name pattern is 1 to 64 of A-Z a-z 0-9 _ + = . @ - and *, and is more than stars")]
pub struct InvalidPattern;

impl NamedSessionRoles {
    /// Parses a comma-separated list; blanks around an item are dropped.
    pub fn parse(list: &str) -> Result<Self, InvalidPattern> {
        list.split(',').map(|item| pattern(item.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an identity provider names the sessions of the role named `role`.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, role))
    }
}

impl Default for NamedSessionRoles {
    fn default() -> Self {
        Self(vec!["AWSReservedSSO_*".to_owned()])
    }
}

impl fmt::Display for NamedSessionRoles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(","))
    }
}

/// Rejects a pattern of stars alone: it would trust every session name.
fn pattern(item: &str) -> Result<String, InvalidPattern> {
    let says_something = item.bytes().any(|byte| byte != b'*');
    if says_something && is_word(item, 1..=64, b"_+=.@-*") {
        Ok(item.to_owned())
    } else {
        Err(InvalidPattern)
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
    left.len() >= last.len() && left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run_and_literals_match_exactly() {
        for (pattern, role, expected) in [
            ("AWSReservedSSO_*", "AWSReservedSSO_Dev_0123456789abcdef", true),
            ("AWSReservedSSO_*", "AWSReservedSSO_", true),
            ("AWSReservedSSO_*", "xAWSReservedSSO_Dev", false),
            ("AWSReservedSSO_*", "awsreservedsso_Dev", false),
            ("Okta-*-People", "Okta-Dev-People", true),
            ("Okta-*-People", "Okta-People", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            let roles = NamedSessionRoles::parse(pattern).unwrap();
            assert_eq!(roles.contains(role), expected, "{pattern} on {role}");
        }
    }

    #[test]
    fn a_list_is_split_at_commas_and_odd_patterns_are_refused() {
        let roles = NamedSessionRoles::parse("AWSReservedSSO_*, Okta-*").unwrap();
        assert!(roles.contains("Okta-Admins"));
        for bad in ["", "*", "**", "a,,b", "a b", "arn:aws:iam::123456789012:role/x", "r\u{e9}le"] {
            assert_eq!(NamedSessionRoles::parse(bad), Err(InvalidPattern), "{bad}");
        }
    }
}
