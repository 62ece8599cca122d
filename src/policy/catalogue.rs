//! The catalogue of profiles.

use super::BundleError;
use super::files::located;
use super::named_scope::NamedScopeToml;
use super::scope::{ProfileScope, ScopeSettings};
use crate::caller::role_owner;
use crate::request::{ProfileName, ScopeName, SessionDuration};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

pub(super) type Catalogue = BTreeMap<ProfileName, Profile>;

/// One checked profile.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: ProfileName,
    pub(super) role_arn: String,
    pub(super) account: String,
    pub(super) description: String,
    pub(super) groups: Vec<String>,
    pub(super) scope: ProfileScope,
    max_duration: SessionDuration,
}

impl Profile {
    /// The longest session: the profile's own cap, and never more than STS gives a chained session.
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
    #[serde(default)]
    transitive_tags: Vec<String>,
    session_policy: Option<String>,
    #[serde(default)]
    policy_arns: Vec<String>,
    #[serde(default)]
    bind_source_ip: bool,
    #[serde(default)]
    scopes: BTreeMap<ScopeName, NamedScopeToml>,
}

/// Parses the catalogue's files. Every problem names its place and profile.
pub(super) fn parse<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Catalogue, Vec<String>> {
    let (mut catalogue, mut problems) = (Catalogue::new(), Vec::new());
    for (file, text) in files {
        match toml::from_str::<BTreeMap<ProfileName, ProfileToml>>(text) {
            Ok(raw) => add(&mut catalogue, raw, (file, text), &mut problems),
            Err(error) => problems.extend(BundleError::of_toml(file, text, &error).0),
        }
    }
    if catalogue.is_empty() && problems.is_empty() {
        problems.push("profiles.toml: there is no profile".to_owned());
    }
    if problems.is_empty() { Ok(catalogue) } else { Err(problems) }
}

fn add(
    catalogue: &mut Catalogue,
    raw: BTreeMap<ProfileName, ProfileToml>,
    (file, text): (&str, &str),
    problems: &mut Vec<String>,
) {
    for (name, profile) in raw {
        let (profile, mut found) = profile.check(name.clone());
        if catalogue.contains_key(&name) {
            found.push("is in another file, too".to_owned());
        }
        problems.extend(found.iter().map(|problem| {
            located(file, text, place(text, &name, problem), &format!("[{name}] {problem}"))
        }));
        catalogue.insert(name, profile);
    }
}

/// The offset of what a problem is about: the key that it names, else the profile.
///
/// Problems name their key first, but for those of one tag: these quote the tag's own key.
fn place(text: &str, profile: &ProfileName, problem: &str) -> usize {
    let Ok(catalogue) = DeTable::parse(text) else { return 0 };
    let Some((name, settings)) =
        catalogue.get_ref().iter().find(|(name, _)| name.get_ref() == profile.as_str())
    else {
        return 0;
    };
    let profile = name.span().start;
    let Some(settings) = settings.get_ref().as_table() else { return profile };
    let named =
        settings.iter().find(|(key, _)| problem.starts_with(key.get_ref().as_ref())).or_else(
            || settings.iter().find(|(key, _)| key.get_ref() == "tags" && problem.contains("tag")),
        );
    let Some((key, value)) = named else { return profile };
    quoted_key(value.get_ref(), problem).unwrap_or_else(|| key.span().start)
}

/// The offset of the key of a table that the problem quotes.
fn quoted_key(table: &DeValue<'_>, problem: &str) -> Option<usize> {
    let (quoted, _) = table
        .as_table()?
        .iter()
        .find(|(key, _)| problem.contains(&format!("{:?}", key.get_ref().as_ref())))?;
    Some(quoted.span().start)
}

impl ProfileToml {
    /// The profile, and its problems.
    fn check(self, name: ProfileName) -> (Profile, Vec<String>) {
        let account = role_owner(&self.role_arn).map(|(_, account)| account.to_owned());
        let max_duration = self.max_duration();
        let scope = ScopeSettings {
            tags: self.tags,
            transitive_tags: self.transitive_tags,
            session_policy: self.session_policy,
            policy_arns: self.policy_arns,
            bind_source_ip: self.bind_source_ip,
            scopes: self.scopes,
        };
        let (scope, mut problems) = scope.check(&self.role_arn);
        if account.is_none() {
            problems.push("role_arn is not arn:PARTITION:iam::ACCOUNT:role/NAME".to_owned());
        }
        if max_duration.is_none() {
            problems.push("max_duration is not a number of seconds from 900 to 3600".to_owned());
        }
        if self.groups.iter().any(String::is_empty) {
            problems.push("groups has an empty name".to_owned());
        }
        let profile = Profile {
            name,
            account: account.unwrap_or_default(),
            max_duration: max_duration.unwrap_or(SessionDuration::MIN),
            role_arn: self.role_arn,
            description: self.description,
            groups: self.groups,
            scope,
        };
        (profile, problems)
    }

    fn max_duration(&self) -> Option<SessionDuration> {
        let seconds = self.max_duration.unwrap_or(SessionDuration::CHAINED_MAX.seconds());
        SessionDuration::from_seconds(seconds)
            .filter(|duration| *duration <= SessionDuration::CHAINED_MAX)
    }
}
