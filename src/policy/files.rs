//! The files of a bundle, in a directory or in SSM Parameter Store.
//!
//! | file | parameter below the path | content |
//! |---|---|---|
//! | `profiles.toml`, `profiles/NAME.toml` | `profiles`, `profiles/NAME` | the catalogue |
//! | `NAME.cedar` | `policies/NAME` | policies |
//! | – | `digest` | the digest of all other files (optional) |
//!
//! Invariant: a bundle is read as a whole or not at all. Parameters are written one by one, so a
//! reader may see some old and some new ones; with a `digest`, such a mixture is refused.

use super::BundleError;
use crate::alphabet::is_word;
use crate::digest::digest;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CATALOGUE: &str = "profiles";
const DIGEST: &str = "digest";
const MIXTURE: &str = "digest: is not that of the other parameters: a change is under way, or was made by hand (then delete `digest`)";
/// The bytes of an advanced parameter. Source: "Managing parameter tiers" in the Systems Manager
/// user guide.
const LONGEST_PARAMETER: usize = 8 * 1024;

impl BundleError {
    /// The error of a TOML file: its place and message in the first line, then TOML's own layout,
    /// which underlines the place.
    #[must_use]
    pub fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let layout = error.to_string();
        let layout = layout.trim_end().strip_suffix(error.message()).unwrap_or_default();
        let underlined = layout.split_once('\n').map_or("", |(_, rest)| rest).trim_end();
        let first = located(file, text, offset, error.message());
        Self(vec![if underlined.is_empty() { first } else { format!("{first}\n{underlined}") }])
    }

    /// Whether the bundle was read in the middle of a change, and may be whole a moment later.
    pub(crate) fn is_mixture(&self) -> bool {
        self.0 == [MIXTURE]
    }
}

/// The files of a bundle, by name, and their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFiles {
    files: BTreeMap<String, String>,
    digest: String,
}

impl BundleFiles {
    fn new(files: BTreeMap<String, String>) -> Self {
        let digest = digest(&serde_json::to_vec(&files).unwrap_or_default());
        Self { files, digest }
    }

    /// Reads `profiles.toml`, `profiles/*.toml` and `*.cedar` in `directory`.
    pub fn from_directory(directory: &Path) -> Result<Self, BundleError> {
        let mut files = BTreeMap::new();
        let whole = (|| {
            add(&mut files, &directory.join("profiles.toml"), "profiles.toml".to_owned())?;
            refuse_misplaced(directory)?;
            add_all(&mut files, directory, "", "cedar")?;
            let more = directory.join(CATALOGUE);
            if more.is_dir() { add_all(&mut files, &more, "profiles/", "toml") } else { Ok(()) }
        })();
        whole.map(|()| Self::new(files)).map_err(|problem| BundleError(vec![problem]))
    }

    /// Reads the parameters below a path, by their names without the path.
    pub fn from_parameters(
        parameters: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BundleError> {
        let (mut files, mut digest, mut problems) = (BTreeMap::new(), None, Vec::new());
        for (parameter, text) in parameters {
            match file_name(&parameter) {
                _ if parameter == DIGEST => digest = Some(text),
                Some(file) => {
                    if files.insert(file, text).is_some() {
                        problems.push(format!("{parameter}: there are two parameters of this name, with and without suffix"));
                    }
                }
                None => problems.push(format!(
                    "{parameter}: is neither profiles, profiles/NAME, policies/NAME nor digest"
                )),
            }
        }
        let bundle = Self::new(files);
        if bundle.files.is_empty() {
            problems.push("there is no parameter below the path".to_owned());
        } else if digest.is_some_and(|digest| digest.trim() != bundle.digest()) {
            problems.push(MIXTURE.to_owned());
        }
        if problems.is_empty() { Ok(bundle) } else { Err(BundleError(problems)) }
    }

    /// The parameters that hold this bundle, by their names without the path; `digest` is among
    /// them.
    ///
    /// # Errors
    /// What Parameter Store would reject, or would not return as the same bundle.
    pub fn parameters(&self) -> Result<BTreeMap<String, String>, BundleError> {
        let digest = (DIGEST.to_owned(), self.digest.clone());
        let named = self.files.iter().map(|(file, text)| (parameter_name(file), text.clone()));
        let parameters: BTreeMap<String, String> = named.chain([digest]).collect();
        let mut problems: Vec<String> =
            self.files.iter().filter_map(|(file, text)| unfit(file, text)).collect();
        if problems.is_empty() && Self::from_parameters(parameters.clone()).as_ref() != Ok(self) {
            problems.push("two files have names that become one in Parameter Store".to_owned());
        }
        if problems.is_empty() { Ok(parameters) } else { Err(BundleError(problems)) }
    }

    /// SHA-256, in hexadecimal, of the files as a compact JSON object of names and texts, sorted by
    /// name.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The names and texts of the catalogue's files.
    pub fn catalogue(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ending(".toml")
    }

    /// The names and texts of the policy files.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ending(".cedar")
    }

    fn ending(&self, suffix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(file, _)| file.ends_with(suffix))
            .map(|(file, text)| (file.as_str(), text.as_str()))
    }
}

/// A problem with its place in the form that editors understand: `file:line:column`.
pub(super) fn located(file: &str, text: &str, offset: usize, problem: &str) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let (line, column) = (
        before.matches('\n').count() + 1,
        before.chars().rev().take_while(|c| *c != '\n').count() + 1,
    );
    format!("{file}:{line}:{column}: {problem}")
}

/// The file that a parameter holds. A suffix in the parameter's name is not doubled.
fn file_name(parameter: &str) -> Option<String> {
    let named = |name: &str, suffix: &str| {
        (!name.is_empty()).then(|| format!("{}{suffix}", name.trim_end_matches(suffix)))
    };
    if parameter == CATALOGUE {
        return Some("profiles.toml".to_owned());
    }
    match parameter.split_once('/')? {
        (CATALOGUE, name) => Some(format!("profiles/{}", named(name, ".toml")?)),
        ("policies", name) => named(name, ".cedar"),
        _ => None,
    }
}

/// Why Parameter Store would reject a file. Source: the SSM API reference on `PutParameter`, as in
/// the aws-sdk-ssm model.
fn unfit(file: &str, text: &str) -> Option<String> {
    if !is_word(file, 1..=usize::MAX, b"_.-/") {
        Some(format!("{file}: the name is not of A-Z a-z 0-9 _ . - alone"))
    } else if text.trim().is_empty() {
        Some(format!("{file}: is empty"))
    } else if text.len() > LONGEST_PARAMETER {
        Some(format!("{file}: is longer than {LONGEST_PARAMETER} bytes: split it in two"))
    } else if text.contains("{{") {
        Some(format!(
            "{file}: has {{{{, which Parameter Store takes for a reference to another parameter"
        ))
    } else {
        None
    }
}

fn parameter_name(file: &str) -> String {
    match file.strip_suffix(".cedar") {
        Some(name) => format!("policies/{name}"),
        None => file.trim_end_matches(".toml").to_owned(),
    }
}

/// Rejects files that the loader would ignore: an unread `forbid` fails silently.
fn refuse_misplaced(directory: &Path) -> Result<(), String> {
    let problem = |error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if name == "policies" || (is_toml && name != "profiles.toml" && name != "tests.toml") {
            return Err(format!(
                "{name}: is not read; *.cedar files belong beside profiles.toml, more profiles into profiles/"
            ));
        }
    }
    Ok(())
}

fn add(files: &mut BTreeMap<String, String>, path: &Path, name: String) -> Result<(), String> {
    files.insert(
        name,
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
    );
    Ok(())
}

/// Adds the files in `directory` with this extension, `prefix` before their names.
fn add_all(
    files: &mut BTreeMap<String, String>,
    directory: &Path,
    prefix: &str,
    extension: &str,
) -> Result<(), String> {
    let problem = |error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        if path.extension().is_some_and(|own| own == extension) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            add(files, &path, format!("{prefix}{name}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(named: &[(&str, &str)]) -> Result<BundleFiles, BundleError> {
        BundleFiles::from_parameters(
            named.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )
    }

    fn problem(named: &[(&str, &str)]) -> String {
        parameters(named).unwrap_err().to_string()
    }

    #[test]
    fn parameters_and_files_stand_for_each_other() {
        let bundle = parameters(&[
            ("profiles", "a"),
            ("profiles/team", "b"),
            ("policies/access", "c"),
            ("policies/x/y", "d"),
        ])
        .unwrap();
        let files: Vec<&str> = bundle.files.keys().map(String::as_str).collect();
        assert_eq!(files, ["access.cedar", "profiles.toml", "profiles/team.toml", "x/y.cedar"]);
        assert_eq!(BundleFiles::from_parameters(bundle.parameters().unwrap()), Ok(bundle));
        assert_eq!(
            parameters(&[("policies/access.cedar", "")]),
            parameters(&[("policies/access", "")])
        );
    }

    #[test]
    fn the_digest_is_that_of_the_documented_json() {
        let bundle = parameters(&[("profiles", "a\n"), ("policies/access", "\"")]).unwrap();
        // printf '{"access.cedar":"\\"","profiles.toml":"a\\n"}' | sha256sum
        assert_eq!(
            bundle.digest(),
            "70975775900192d7b49d57a8463d62805759f61fa8755d812d7be6493a71519c"
        );
    }

    #[test]
    fn what_parameter_store_would_not_take_is_told_before_anything_is_written() {
        let files = |named: &[(&str, &str)]| {
            BundleFiles::new(
                named.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect(),
            )
        };
        for (file, text, words) in [
            ("two words.cedar", "x", "the name"),
            ("a.cedar", " ", "is empty"),
            ("a.cedar", &"x".repeat(8_193), "longer than 8192"),
            ("a.cedar", "{{x}}", "has {{"),
            ("a.cedar.cedar", "x", "names"),
        ] {
            let problems = files(&[("profiles.toml", "x"), (file, text)])
                .parameters()
                .unwrap_err()
                .to_string();
            assert!(problems.contains(words), "{problems}");
        }
    }

    /// THREAT: a forbid in a file that is not read forbids nothing, and nobody notices.
    /// PREVENTION: what looks like a part of the bundle and is none keeps it from loading.
    #[test]
    fn security_a_misplaced_file_does_not_load() {
        let directory =
            std::env::temp_dir().join(format!("sentinel-tvm-misplaced-{}", std::process::id()));
        fs::create_dir_all(directory.join("profiles")).unwrap();
        for file in [
            "profiles.toml",
            "profiles/team.toml",
            "access.cedar",
            "tests.toml",
            "sentinel.cedarschema",
            "README.md",
        ] {
            fs::write(directory.join(file), "x").unwrap();
        }
        assert_eq!(BundleFiles::from_directory(&directory).unwrap().files.len(), 3);
        fs::write(directory.join("profile.toml"), "x").unwrap();
        assert!(
            BundleFiles::from_directory(&directory)
                .unwrap_err()
                .to_string()
                .starts_with("profile.toml: is not read")
        );
        fs::remove_file(directory.join("profile.toml")).unwrap();
        fs::create_dir(directory.join("policies")).unwrap();
        assert!(
            BundleFiles::from_directory(&directory)
                .unwrap_err()
                .to_string()
                .starts_with("policies: is not read")
        );
        fs::remove_dir_all(&directory).unwrap();
    }

    /// THREAT: a reload falls between two writes of an update, and takes the new permit without the
    /// new forbid; or a misspelt name hides a forbid. PREVENTION: a digest that is not that of the
    /// rest, and a parameter of an unknown name, keep the bundle from loading.
    #[test]
    fn security_a_mixture_and_an_unknown_parameter_do_not_load() {
        let mut mixed = parameters(&[("profiles", "a"), ("policies/access", "c")])
            .unwrap()
            .parameters()
            .unwrap();
        mixed.insert("profiles".to_owned(), "b".to_owned());
        assert!(BundleFiles::from_parameters(mixed).is_err());
        assert!(problem(&[("profiles", "a"), ("digest", "")]).starts_with("digest: "));
        for unknown in
            ["polices/access", "policies", "policies/", "profiles/", "", "Profiles", "tests"]
        {
            assert!(
                problem(&[("profiles", "a"), (unknown, "")]).contains("is neither"),
                "{unknown}"
            );
        }
        assert!(
            problem(&[("policies/a", ""), ("policies/a.cedar", "")]).contains("two parameters")
        );
        assert!(problem(&[]).contains("no parameter"));
        assert!(problem(&[("digest", "0")]).contains("no parameter"));
    }
}
