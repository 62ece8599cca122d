//! The worked examples of `docs/policy.md`: each loads without a warning and does what its own
//! expectations say.

use super::*;
use crate::expectations::Outcome;
use std::collections::BTreeMap;

/// The files in the guide's fences, such as ` ```cedar access.cedar`, by section.
fn sections(guide: &str) -> Vec<(&str, BTreeMap<&str, String>)> {
    let mut sections: Vec<(&str, BTreeMap<&str, String>)> = Vec::new();
    let mut file: Option<&str> = None;
    for line in guide.lines() {
        match (line.strip_prefix("```"), file) {
            (Some(_), Some(_)) => file = None,
            (Some(info), None) => file = Some(info.split_once(' ').map_or("", |(_, name)| name)),
            (None, Some(name)) => {
                if let (Some((_, files)), false) = (sections.last_mut(), name.is_empty()) {
                    let text = files.entry(name).or_default();
                    text.push_str(line);
                    text.push('\n');
                }
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("### ") {
                    sections.push((title, BTreeMap::new()));
                }
            }
        }
    }
    sections.retain(|(_, files)| !files.is_empty());
    sections
}

#[test]
fn each_worked_example_does_what_it_says() {
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md"))
            .unwrap();
    let sections = sections(&guide);
    assert!(sections.len() >= 6, "{sections:?}");
    for (title, mut files) in sections {
        let expectations =
            Expectations::parse(&files.remove("tests.toml").unwrap_or_default()).unwrap();
        let outcomes: Vec<Outcome> = expectations.outcomes().collect();
        assert!(
            outcomes.contains(&Outcome::Allow) && outcomes.contains(&Outcome::Deny),
            "{title}: shows both outcomes"
        );
        let parameter = |(file, text): (&str, String)| match file.strip_suffix(".cedar") {
            Some(name) => (format!("policies/{name}"), text),
            None => (file.trim_end_matches(".toml").to_owned(), text),
        };
        let text = BundleFiles::from_parameters(files.into_iter().map(parameter))
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        let policy = Policy::load(&text, &expectations.options())
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        assert_eq!(policy.warnings(), [""; 0], "{title}");
        for (name, verdict) in expectations.run(&policy) {
            assert_eq!(verdict, Check::Passed, "{title}: {name}");
        }
    }
}

#[test]
fn an_expectation_that_is_not_met_says_why() {
    let profiles = "[a]\nrole_arn = \"arn:aws:iam::123456789012:role/a\"".to_owned();
    let permit = "@id(\"p\") permit (principal, action, resource);".to_owned();
    let files = BundleFiles::from_parameters([
        ("profiles".to_owned(), profiles),
        ("policies/x".to_owned(), permit),
    ])
    .unwrap();
    let verdict = |lines: &str| {
        let test = format!("[[test]]\nname = \"t\"\nprofile = \"a\"\n{lines}");
        let expectations = Expectations::parse(&test).unwrap();
        let policy = Policy::load(&files, &expectations.options()).unwrap();
        expectations.run(&policy).next().unwrap().1
    };
    let by =
        |lines: &str| verdict(&format!("caller = \"arn:aws:iam::123456789012:user/a\"\n{lines}"));
    assert_eq!(by("expect = \"allow\"\nrules = [\"p\"]\nseconds = 900"), Check::Passed);
    for (lines, why) in [
        ("expect = \"deny\"", "allowed by [\"p\"]"),
        ("expect = \"allow\"\nrules = []", "rules: expected [], found [\"p\"]"),
        ("expect = \"allow\"\nseconds = 901", "seconds: expected 901, found 900"),
        (
            "expect = \"allow\"\ntags = { Team = \"x\" }",
            "the tag \"Team\": expected Some(\"x\"), found None",
        ),
        ("expect = \"allow\"\nsession_policy = \"x\"", "the session policy is without \"x\": "),
        ("expect = \"allow\"\nsource_ip = \"x\"", "source_ip is not an address"),
    ] {
        assert_eq!(by(lines), Check::Failed(why.to_owned()), "{lines}");
    }
    let Check::Failed(why) = verdict("caller = \"alice\"\nexpect = \"deny\"") else {
        panic!("alice is no caller")
    };
    assert!(why.starts_with("caller: "), "{why}");
    assert!(Expectations::parse("[[test]]\nexpct = 1").is_err());
}
