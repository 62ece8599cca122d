//! Patterns that match more Identity Center roles than their author may want.
//!
//! IAM Identity Center names a role `AWSReservedSSO_`, the permission set, `_` and 16 hexadecimal
//! digits. A star in the place of the digits also matches every permission set whose name begins
//! so. This is a warning, because a bundle may want just that. The text is searched, not Cedar's
//! tree: it is searched at each start, and a warning may be wrong.

use super::files::located;

const IDENTITY_CENTER: &str = "AWSReservedSSO_";

/// A warning for each pattern in a policy file with a star in the name of an Identity Center role.
pub(super) fn wide_permission_sets(file: &str, text: &str) -> Vec<String> {
    let roles = text.match_indices(IDENTITY_CENTER).map(|(start, prefix)| {
        let rest = &text[start + prefix.len()..];
        let end = rest.find(['/', '"', '\n']).unwrap_or(rest.len());
        (start, &rest[..end])
    });
    let wide = roles.filter(|(start, set)| has_star(set) && !in_comment(text, *start));
    wide.map(|(start, set)| {
        let other = set.replacen('*', "Other_0123456789abcdef", 1);
        let problem = format!(
            "the star in {IDENTITY_CENTER}{set} also matches other permission sets, such as \
             {IDENTITY_CENTER}{other}, and roles that somebody named so: write the whole role name"
        );
        located(file, text, start, &problem)
    })
    .collect()
}

/// Whether there is a star that is not escaped. A star after the role's slash, in the place of the
/// person, is as it should be: it is not in `set`.
fn has_star(set: &str) -> bool {
    set.replace("\\*", "").contains('*')
}

/// Whether the line has only a comment.
fn in_comment(text: &str, offset: usize) -> bool {
    let line = text[..offset].rfind('\n').unwrap_or_default();
    text[line..offset].trim_start().starts_with("//")
}
