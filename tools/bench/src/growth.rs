//! Policy bundles of any size: a profile, and a policy about it, for each number.

use crate::Result;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Writes a bundle of `count` profiles and policies. One policy in ten is a `forbid`, and one in ten is about a group. The caller
/// of the stored event gets the profile that [`middle`] names.
pub(crate) fn write_bundle(directory: &Path, count: usize) -> Result<()> {
    let (mut profiles, mut policies) = (String::new(), String::new());
    for number in 0..count {
        let group = number % 100;
        writeln!(
            profiles,
            "[profile-{number}]\nrole_arn = \"arn:aws:iam::123456789012:role/vended-{number}\"\n\
             description = \"Profile {number} of the bench\"\ngroups = [\"group-{group}\"]\n"
        )?;
        let caller =
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/*";
        let resource = match number % 10 {
            8 => format!("resource in Sentinel::ProfileGroup::\"group-{group}\""),
            _ => format!("resource == Sentinel::Profile::\"profile-{number}\""),
        };
        let head = format!("principal, action == Sentinel::Action::\"vend\", {resource}");
        let policy = match number % 10 {
            9 => format!("forbid ({head})\nunless {{ context.weekday <= 7 }};"),
            _ => format!("permit ({head})\nwhen {{ principal.arn like {caller:?} }};"),
        };
        writeln!(policies, "@id(\"rule-{number}\")\n{policy}\n")?;
    }
    fs::create_dir_all(directory)?;
    fs::write(directory.join("profiles.toml"), profiles)?;
    fs::write(directory.join("access.cedar"), policies)?;
    Ok(())
}

/// A profile in the middle of a bundle of `count`.
pub(crate) fn middle(count: usize) -> String {
    format!("profile-{}", count / 2)
}
