//! AWS's configuration file: sections and their settings, read and extended without touching the rest.

use std::path::Path;

use crate::edited_file::append;

/// A section's settings, in order.
type Settings<'t> = Vec<(&'t str, &'t str)>;

/// The text of an AWS configuration file.
#[derive(Debug)]
pub(crate) struct AwsConfig(String);

impl AwsConfig {
    /// Reads a file. An absent or unreadable file is an empty one: the SDK reports what it needs.
    pub(crate) fn read(path: Option<&Path>) -> Self {
        Self(path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default())
    }

    /// A file's text.
    pub(crate) fn of_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Writes a profile whose credentials come from `command`, or its command if the profile is one of this program's.
    pub(crate) fn write_profile(&mut self, name: &str, region: &str, command: &str) -> Written {
        let line = format!("credential_process = {command}");
        if self.profile(name).is_none() {
            let header =
                if name == "default" { name.to_owned() } else { format!("profile {name}") };
            append(&mut self.0, &format!("[{header}]\nregion = {region}\n{line}\n"));
            return Written::New;
        }
        if !self.setting(name, "credential_process").is_some_and(is_this_program) {
            return Written::NotOurs;
        }
        self.replace_command(name, &line);
        Written::Replaced
    }

    /// Replaces the line `credential_process` of a profile.
    fn replace_command(&mut self, name: &str, line: &str) {
        let mut inside = false;
        let replaced = self.0.split_inclusive('\n').map(|old| {
            if let Some(section) = section(old) {
                inside = section == name;
            }
            let is_command =
                old.split('=').next().is_some_and(|key| key.trim_end() == "credential_process");
            if inside && is_command { format!("{line}\n") } else { old.to_owned() }
        });
        self.0 = replaced.collect();
    }

    /// The settings of a profile; `None` if there is no such profile.
    pub(crate) fn profile(&self, name: &str) -> Option<Settings<'_>> {
        let mut found: Option<Settings<'_>> = None;
        let mut inside = false;
        for line in self.0.lines() {
            if let Some(section) = section(line) {
                inside = section == name;
                if inside {
                    found.get_or_insert_default();
                }
            } else if let Some((key, value)) = line.split_once('=')
                && inside
                && !line.starts_with([' ', '\t', '#', ';'])
            {
                found.get_or_insert_default().push((key.trim(), value.trim()));
            }
        }
        found
    }

    /// One setting of a profile.
    pub(crate) fn setting(&self, profile: &str, key: &str) -> Option<&str> {
        self.profile(profile)?.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Whether the credentials of `profile` come from this program itself, directly or through `source_profile`.
    pub(crate) fn leads_back(&self, profile: &str) -> bool {
        let mut name = profile;
        // Longer chains are circles, which the SDK reports.
        for _ in 0..16 {
            if self.setting(name, "credential_process").is_some_and(is_this_program) {
                return true;
            }
            match self.setting(name, "source_profile") {
                Some(source) if source != name => name = source,
                _ => return false,
            }
        }
        false
    }
}

/// What became of a profile that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    New,
    Replaced,
    /// Somebody else's: nothing was written.
    NotOurs,
}

/// The profile of a section's line.
fn section(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('[')?.split(']').next()?.trim();
    if name == "default" {
        return Some(name);
    }
    // Other sections, as `sso-session`, have names with a blank that no profile of a user has here.
    name.strip_prefix("profile").map_or(Some(name), |rest| {
        rest.starts_with(char::is_whitespace).then(|| rest.trim().trim_matches(['"', '\'']))
    })
}

/// Whether a `credential_process` runs this program.
pub(crate) fn is_this_program(command: &str) -> bool {
    let command = command.trim();
    let program = match command.chars().next() {
        Some(quote @ ('"' | '\'')) => command[1..].split(quote).next().unwrap_or_default(),
        _ => command.split_whitespace().next().unwrap_or_default(),
    };
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    matches!(name, "sentinel" | "sentinel.exe")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# mine\n[default]\nregion = eu-west-1\n\n[profile sso]\nsso_session = corp\n\
        [profile dev]\ncredential_process = /opt/sentinel credentials development\nregion=eu-central-1\n\
        [profile chained]\nrole_arn = arn\nsource_profile = dev\n[sso-session corp]\nsso_region = us-east-1\n";

    #[test]
    fn profiles_have_their_own_settings() {
        let config = AwsConfig(CONFIG.to_owned());
        assert_eq!(config.setting("default", "region"), Some("eu-west-1"));
        assert_eq!(config.setting("dev", "region"), Some("eu-central-1"));
        assert_eq!(config.profile("sso").unwrap(), [("sso_session", "corp")]);
        assert!(config.profile("other").is_none());
    }

    #[test]
    fn a_new_profile_is_appended_and_an_own_one_is_updated() {
        let mut config = AwsConfig(CONFIG.to_owned());
        assert_eq!(
            config.write_profile("new", "eu-west-1", "sentinel credentials new"),
            Written::New
        );
        let added =
            "\n[profile new]\nregion = eu-west-1\ncredential_process = sentinel credentials new\n";
        assert_eq!(config.0, format!("{CONFIG}{added}"));

        assert_eq!(
            config.write_profile("dev", "eu-west-1", "sentinel credentials d"),
            Written::Replaced
        );
        assert_eq!(config.setting("dev", "credential_process"), Some("sentinel credentials d"));
        assert_eq!(config.setting("dev", "region"), Some("eu-central-1"), "the rest stays");
        assert_eq!(config.setting("new", "credential_process"), Some("sentinel credentials new"));
    }

    #[test]
    fn a_profile_of_somebody_else_is_left_alone() {
        let mut config = AwsConfig(CONFIG.to_owned());
        assert_eq!(
            config.write_profile("sso", "eu-west-1", "sentinel credentials sso"),
            Written::NotOurs
        );
        assert_eq!(
            config.write_profile("default", "eu-west-1", "sentinel credentials d"),
            Written::NotOurs
        );
        assert_eq!(config.0, CONFIG);
    }

    #[test]
    fn a_profile_that_leads_back_here_is_found() {
        let config = AwsConfig(CONFIG.to_owned());
        assert!(config.leads_back("dev") && config.leads_back("chained"));
        assert!(!config.leads_back("sso") && !config.leads_back("default"));
        assert!(is_this_program(r#""C:\Program Files\sentinel.exe" credentials a"#));
        assert!(!is_this_program("/usr/bin/other --name sentinel"));
    }
}
