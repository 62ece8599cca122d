//! The worked examples of `docs/policy.md`: each loads without a warning and does what its own
//! expectations say.

use crate::{Check, Expectations, Outcome, worked_examples};
use sentinel_tvm::{BundleFiles, Policy};
use std::fs;
use std::path::Path;

#[test]
fn each_worked_example_does_what_it_says() {
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md"))
            .unwrap();
    let sections = worked_examples(&guide);
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

/// The policy of the guide's section on approvals, with a file of `deploy/examples/incident`.
fn approvals_under(incident: &str) -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = fs::read_to_string(root.join("docs/policy.md")).unwrap();
    let (_, files) = sections(&guide).into_iter().find(|(title, _)| *title == "Approvals").unwrap();
    let incident =
        fs::read_to_string(root.join("deploy/examples/incident").join(incident)).unwrap();
    // Both name one person; the guide's people are the ones of this test.
    let incident = incident.replace("Developer", "Operator").replace("alice@", "bob@");
    let files = BundleFiles::from_parameters([
        ("profiles".to_owned(), files["profiles.toml"].clone()),
        ("policies/access".to_owned(), files["access.cedar"].clone()),
        ("policies/incident".to_owned(), incident),
    ]);
    let expectations = Expectations::parse("").unwrap();
    Policy::load(&files.unwrap(), &expectations.options()).unwrap()
}

/// The check of one decision: by which operator, and what.
fn decides(policy: &Policy, who: &str, what: &str) -> Check {
    let role = if who == "ann" { "Developer" } else { "Operator" };
    let caller = format!(
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_{role}_0123456789abcdef/{who}@example.com"
    );
    let test =
        format!("[[test]]\nname = \"t\"\ncaller = \"{caller}\"\nprofile = \"production\"\n{what}");
    Expectations::parse(&test).unwrap().run(policy).next().unwrap().1
}

fn approving(expect: &str) -> String {
    let requester = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef/ann@example.com";
    format!(
        "approves = {{ requester = \"{requester}\", reason = \"an outage\", ticket = \"OPS-4711\" }}\nexpect = \"{expect}\""
    )
}

fn approved_by(who: &str, expect: &str) -> String {
    let by = format!(
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Operator_0123456789abcdef/{who}@example.com"
    );
    format!("approval = {{ by = \"{by}\", reason = \"an outage\" }}\nexpect = \"{expect}\"")
}

/// THREAT: a person is blocked by the playbook's rule, and still approves requests of accomplices.
/// PREVENTION: the rule forbids every action, not credentials alone.
#[test]
fn security_a_blocked_person_approves_nothing() {
    let policy = approvals_under("block-caller.cedar");
    assert_eq!(decides(&policy, "bob", &approving("deny")), Check::Passed);
    assert_eq!(
        decides(&policy, "eve", &approving("allow")),
        Check::Passed,
        "nobody else is blocked"
    );
}

/// THREAT: what a compromised person approved gives credentials until the claim window ends.
/// PREVENTION: a rule of the playbook refuses credentials under that person's approvals.
#[test]
fn security_approvals_of_a_compromised_person_can_be_refused() {
    let policy = approvals_under("refuse-approvals.cedar");
    assert_eq!(decides(&policy, "ann", &approved_by("bob", "deny")), Check::Passed);
    assert_eq!(decides(&policy, "ann", &approved_by("eve", "allow")), Check::Passed);
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
        let profile = if lines.contains("profile = ") { "" } else { "profile = \"a\"" };
        let test = format!("[[test]]\nname = \"t\"\n{profile}\n{lines}");
        let expectations = Expectations::parse(&test).unwrap();
        let policy = Policy::load(&files, &expectations.options()).unwrap();
        expectations.run(&policy).next().unwrap().1
    };
    let by =
        |lines: &str| verdict(&format!("caller = \"arn:aws:iam::123456789012:user/a\"\n{lines}"));
    assert_eq!(by("expect = \"allow\"\nrules = [\"p\"]\nseconds = 900"), Check::Passed);
    for (lines, why) in [
        ("expect = \"deny\"", "should be denied, but is allowed by \"p\""),
        ("expect = \"allow\"\nrules = []", "is allowed, but by \"p\" instead of no rule"),
        (
            "expect = \"allow\"\nrules = [\"a\", \"b\"]",
            "is allowed, but by \"p\" instead of \"a\" and \"b\"",
        ),
        ("expect = \"allow\"\nseconds = 901", "is allowed, but for 900 seconds instead of 901"),
        ("expect = \"allow\"\ntags = { Team = \"x\" }", "is allowed, but without the tag \"Team\""),
        (
            "expect = \"allow\"\nsession_policy = \"x\"",
            "is allowed, but without a session policy that could contain \"x\"",
        ),
        ("expect = \"allow\"\nsource_ip = \"x\"", "source_ip is not an address"),
    ] {
        assert_eq!(by(lines), Check::Failed(why.to_owned()), "{lines}");
    }
    let denied = "profile = \"b\"\nexpect = \"allow\"";
    assert_eq!(
        by(denied),
        Check::Failed(
            "should be allowed, but is denied: no such profile. \
             The caller reads \"No policy permits this.\""
                .to_owned()
        )
    );
    let Check::Failed(why) = verdict("caller = \"alice\"\nexpect = \"deny\"") else {
        panic!("alice is no caller")
    };
    assert!(why.starts_with("caller: "), "{why}");
    assert!(Expectations::parse("[[test]]\nexpct = 1").is_err());
}

#[test]
fn an_expectation_that_could_never_fail_is_an_error() {
    let parse = |lines: &str| {
        let caller = "caller = \"arn:aws:iam::123456789012:user/a\"\nprofile = \"a\"";
        Expectations::parse(&format!("[[test]]\nname = \"t\"\n{caller}\n{lines}"))
    };
    for (key, lines) in [
        ("session_policy", "expect = \"deny\"\nsession_policy = \"x\""),
        ("seconds", "expect = \"deny\"\nseconds = 900"),
        ("tags", "expect = \"deny\"\ntags = { a = \"b\" }"),
        ("reason", "expect = \"allow\"\nreason = \"x\""),
    ] {
        let problem = parse(lines).map(drop).unwrap_err();
        assert!(problem.starts_with(&format!("tests.toml: \"t\": {key} is only for")), "{problem}");
    }
    assert!(parse("expect = \"deny\"\nreason = \"x\"").is_ok());
}

#[test]
fn an_error_in_the_expectations_has_its_place() {
    let problem = Expectations::parse("[[test]]\nexpct = 1").map(drop).unwrap_err();
    let first = problem.lines().next().unwrap();
    assert!(first.starts_with("tests.toml:2:1: unknown field `expct`, expected one of"), "{first}");
    assert!(problem.ends_with("  |\n2 | expct = 1\n  | ^^^^^"), "{problem}");
}
