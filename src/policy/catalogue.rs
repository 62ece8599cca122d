//! The catalogue of profiles, and STS's limits on what they may say.

use crate::caller::role_account;
use crate::request::{ProfileName, SessionDuration};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) type Catalogue = BTreeMap<ProfileName, Profile>;

/// One checked profile.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) role_arn: String,
    pub(super) account: String,
    pub(super) description: String,
    pub(super) groups: Vec<String>,
    pub(super) tags: BTreeMap<String, String>,
    max_duration: SessionDuration,
}

impl Profile {
    /// The longest session it gives: its own cap, and never more than STS gives a chained session.
    pub(super) fn longest_session(&self) -> SessionDuration {
        self.max_duration.min(SessionDuration::CHAINED_MAX)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileToml {
    role_arn: String,
    #[serde(default)]
    description: String,
    max_duration: Option<u32>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Parses `profiles.toml`; every problem is told with the profile's name.
pub(super) fn parse(text: &str) -> Result<Catalogue, Vec<String>> {
    let raw: BTreeMap<ProfileName, ProfileToml> =
        toml::from_str(text).map_err(|error| vec![error.to_string().trim().replace('\n', " ")])?;
    if raw.is_empty() {
        return Err(vec!["there is no profile".to_owned()]);
    }
    let mut problems = Vec::new();
    let mut catalogue = Catalogue::new();
    for (name, profile) in raw {
        let found = profile.problems();
        problems.extend(found.into_iter().map(|problem| format!("[{name}] {problem}")));
        if let Some(profile) = profile.checked() {
            catalogue.insert(name, profile);
        }
    }
    if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
}

impl ProfileToml {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if role_account(&self.role_arn).is_none() {
            problems.push("role_arn is not arn:PARTITION:iam::ACCOUNT:role/NAME".to_owned());
        }
        if self.max_duration().is_none() {
            problems.push("max_duration is not a number of seconds from 900 to 3600".to_owned());
        }
        if self.groups.iter().any(String::is_empty) {
            problems.push("groups has an empty name".to_owned());
        }
        problems.extend(tag_problems(&self.tags));
        problems
    }

    fn max_duration(&self) -> Option<SessionDuration> {
        let seconds = self.max_duration.unwrap_or(SessionDuration::CHAINED_MAX.seconds());
        SessionDuration::from_seconds(seconds).filter(|duration| *duration <= SessionDuration::CHAINED_MAX)
    }

    fn checked(self) -> Option<Profile> {
        Some(Profile {
            account: role_account(&self.role_arn)?.to_owned(),
            max_duration: self.max_duration()?,
            role_arn: self.role_arn,
            description: self.description,
            groups: self.groups,
            tags: self.tags,
        })
    }
}

/// STS's limits on session tags: 50, keys of 1 to 128 and values of 0 to 256 characters, keys unique without regard to case
/// and not beginning `aws:`. STS takes letters and digits of any script; this takes ASCII, which covers what tags are for.
/// Source: the STS API reference on `Tag` and `AssumeRole`, as in the aws-sdk-sts model.
fn tag_problems(tags: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = vec!["sentinelprofile".to_owned(), "sentinelrequestid".to_owned()];
    if tags.len() + seen.len() > 50 {
        problems.push("there are more than 48 tags".to_owned());
    }
    for (key, value) in tags {
        let folded = key.to_ascii_lowercase();
        if !(1..=128).contains(&key.len()) || !is_tag_text(key) || folded.starts_with("aws:") {
            problems.push(format!("the tag key {key:?} is not 1 to 128 of A-Z a-z 0-9 blank _ . : / = + - @, or begins aws:"));
        }
        if value.len() > 256 || !is_tag_text(value) {
            problems.push(format!("the value of the tag {key:?} is not 0 to 256 of A-Z a-z 0-9 blank _ . : / = + - @"));
        }
        if seen.contains(&folded) {
            problems.push(format!("the tag key {key:?} is taken (upper and lower case count as the same)"));
        }
        seen.push(folded);
    }
    problems
}

fn is_tag_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&byte))
}
