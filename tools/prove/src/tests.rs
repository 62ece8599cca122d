//! The starter bundle and small ones, changed. They need the solver: `make prove` installs it.

use super::*;
use crate::catalogue::Effect;
use crate::grants::Answer;
use crate::witness::Witness;
use policy::Action;
use std::fs;

const STARTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy");

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Directory {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let path =
            std::env::temp_dir().join(format!("sentinel-prove-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }

    /// The starter bundle, with `from` in its file replaced by `to`.
    fn changed(name: &str, file: &str, from: &str, to: &str) -> Self {
        let text = |file: &str| fs::read_to_string(Path::new(STARTER).join(file)).unwrap();
        assert!(text(file).contains(from), "{from}");
        let files = ["access.cedar", "profiles.toml", "tests.toml"];
        let files = files.map(|known| {
            (known, if known == file { text(known).replace(from, to) } else { text(known) })
        });
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
        Self::with(name, &files)
    }

    /// One profile and these policies.
    fn small(name: &str, policies: &str) -> Self {
        let profile = "[dev]\nrole_arn = \"arn:aws:iam::123456789012:role/vended-dev\"\n";
        Self::with(name, &[("profiles.toml", profile), ("access.cedar", policies)])
    }
}

fn compared(old: &Path, new: &Path) -> Comparison {
    let (old, new) = (old.to_owned(), new.to_owned());
    on_a_large_stack(move || compare(&old, &new)).unwrap()
}

fn proved(directory: &Path) -> Proofs {
    let directory = directory.to_owned();
    on_a_large_stack(move || prove(&directory)).unwrap()
}

/// What is newly granted and newly refused, as `credentials` or `approvals`, and the profile.
fn changes(comparison: &Comparison) -> Vec<(&str, Action, &str)> {
    let mut changes = Vec::new();
    for of in &comparison.profiles {
        for (verb, answer) in [("grants", &of.newly_granted), ("refuses", &of.newly_refused)] {
            match answer {
                Answer::None => {}
                Answer::Witness(_) => changes.push((verb, of.action, of.profile.as_str())),
                other => panic!("{}: {other:?}", of.profile),
            }
        }
    }
    changes
}

fn witnesses(comparison: &Comparison) -> impl Iterator<Item = &Witness> {
    let answers = comparison.profiles.iter().flat_map(|of| [&of.newly_granted, &of.newly_refused]);
    answers.filter_map(|answer| match answer {
        Answer::Witness(witness) => Some(witness),
        _ => None,
    })
}

/// What the function itself grants for the one witness of a change, before it and after it.
fn replayed(comparison: &Comparison, old: &Path, new: &Path) -> (Option<u32>, Option<u32>) {
    let witness = witnesses(comparison).next().unwrap();
    let granted = |directory| witness.replay(&Bundle::load(directory).unwrap()).unwrap();
    (granted(old), granted(new))
}

#[test]
fn one_more_minute_is_found_and_nothing_else() {
    let new =
        Directory::changed("wide", "access.cedar", "duration(\"18h\")", "duration(\"18h1m\")");
    let comparison = compared(Path::new(STARTER), &new.0);
    assert_eq!(changes(&comparison), [("grants", Action::Vend, "production")]);
    assert!(comparison.widens() && !comparison.undecided());
    let (before, after) = replayed(&comparison, Path::new(STARTER), &new.0);
    assert!(before.is_none() && after.is_some());
}

#[test]
fn another_way_to_say_the_same_is_proved_the_same() {
    let said = "context.weekday <= 5 &&\n";
    let new = Directory::changed("same", "access.cedar", said, "!(context.weekday >= 6) &&\n");
    let comparison = compared(Path::new(STARTER), &new.0);
    assert_eq!(changes(&comparison), []);
    assert!(!comparison.widens() && comparison.catalogue.is_empty());
}

#[test]
fn one_hour_less_grants_nothing_more() {
    let new = Directory::changed("narrow", "access.cedar", "duration(\"8h\")", "duration(\"9h\")");
    let comparison = compared(Path::new(STARTER), &new.0);
    assert_eq!(changes(&comparison), [("refuses", Action::Vend, "production")]);
    assert!(!comparison.widens());
    let (before, after) = replayed(&comparison, Path::new(STARTER), &new.0);
    assert!(before.is_some() && after.is_none());
}

#[test]
fn the_starter_bundle_keeps_its_invariants_and_never_fails() {
    let proofs = proved(Path::new(STARTER));
    assert!(!proofs.invariants.is_empty() && proofs.rules == 5);
    for proof in &proofs.invariants {
        assert!(proof.holds() && proof.is_about_something, "{proof:?}");
    }
    assert!(proofs.failing.is_empty(), "{:?}", proofs.failing);
}

#[test]
fn the_invariants_of_the_worked_examples_hold() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md");
    let guide = fs::read_to_string(guide).unwrap();
    let examples = policy::worked_examples(&guide);
    assert!(!examples.is_empty());
    for (title, files) in examples {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
        let proofs = proved(&Directory::with("example", &files).0);
        assert!(!proofs.invariants.is_empty(), "{title} has no invariant");
        for proof in &proofs.invariants {
            assert!(proof.holds() && proof.is_about_something, "{title}: {proof:?}");
        }
    }
}

/// THREAT: somebody deletes one line of a `forbid`, and every expectation that nobody wrote still passes.
/// PREVENTION: the invariant is refuted, with a request that the function then grants.
#[test]
fn security_the_compliance_line_deleted_is_refuted_by_a_real_grant() {
    let without =
        Directory::changed("compliance", "access.cedar", "  context.device.compliant &&\n", "");
    let proofs = proved(&without.0);
    let refuted: Vec<_> = proofs.invariants.iter().filter(|proof| !proof.holds()).collect();
    let [proof] = refuted[..] else { panic!("{refuted:?}") };
    assert!(proof.name.contains("compliant device"));
    for (profile, answer) in &proof.profiles {
        let Answer::Witness(witness) = answer else { panic!("{profile}: {answer:?}") };
        assert!(witness.to_string().contains("compliant = false"), "{witness}");
        assert!(witness.replay(&Bundle::load(&without.0).unwrap()).unwrap().is_some(), "{witness}");
        assert!(witness.replay(&Bundle::load(Path::new(STARTER)).unwrap()).unwrap().is_none());
    }
}

/// THREAT: the function refuses where a policy fails, and Cedar alone skips it. Who removes that policy
/// grants what was refused, and a comparison of Cedar's decisions does not see it.
/// PREVENTION: a permit counts only where no policy fails.
#[test]
fn security_removing_a_policy_that_fails_is_a_widening() {
    let permit = "@id(\"p\") permit (principal, action == Sentinel::Action::\"vend\", resource);\n";
    let forbid = "@id(\"f\") forbid (principal, action == Sentinel::Action::\"vend\", resource)
        when { context.duration * 9000000000000000 < 0 };";
    let old = Directory::small("fails", &format!("{permit}{forbid}"));
    let new = Directory::small("fails-not", permit);
    let comparison = compared(&old.0, &new.0);
    assert_eq!(changes(&comparison), [("grants", Action::Vend, "dev")]);
    let proofs = proved(&old.0);
    let failing: Vec<_> = proofs.failing.iter().collect();
    assert!(matches!(failing[..], [(rule, Answer::Witness(_))] if rule == "f"), "{failing:?}");
}

#[test]
fn a_longer_session_is_newly_granted_and_a_shorter_one_newly_refused() {
    let permit = |most: &str| {
        format!(
            "@id(\"p\") @max_duration(\"{most}\") permit (principal, action == Sentinel::Action::\"vend\", resource);"
        )
    };
    let short = Directory::small("short", &permit("1200"));
    let long = Directory::small("long", &permit("1800"));
    let longer = compared(&short.0, &long.0);
    assert_eq!(changes(&longer), [("grants", Action::Vend, "dev")]);
    let (before, after) = replayed(&longer, &short.0, &long.0);
    assert!(before == Some(1_200) && after > before, "{before:?} {after:?}");
    assert_eq!(changes(&compared(&long.0, &short.0)), [("refuses", Action::Vend, "dev")]);
}

#[test]
fn a_profile_that_leaves_a_group_loses_its_forbid() {
    let new =
        Directory::changed("group", "profiles.toml", "groups = [\"own-device\"]", "groups = []");
    let comparison = compared(Path::new(STARTER), &new.0);
    assert_eq!(changes(&comparison), [("grants", Action::Vend, "customer-data")]);
}

#[test]
fn the_right_to_approve_is_compared_too() {
    let vend = "@id(\"v\") permit (principal, action == Sentinel::Action::\"vend\", resource);\n";
    let approve =
        "@id(\"a\") permit (principal, action == Sentinel::Action::\"approve\", resource);";
    let old = Directory::small("vend", vend);
    let new = Directory::small("approve", &format!("{vend}{approve}"));
    let comparison = compared(&old.0, &new.0);
    assert_eq!(changes(&comparison), [("grants", Action::Approve, "dev")]);
    assert_eq!(replayed(&comparison, &old.0, &new.0), (None, Some(0)));
}

#[test]
fn the_weekday_is_that_of_the_time() {
    let permit = "@id(\"p\") permit (principal, action == Sentinel::Action::\"vend\", resource)
        when { context.weekday <= 5 };";
    let invariant = |date: &str| {
        format!(
            "[[invariant]]\nname = \"closed\"\nrequires = 'context.now.toDate() != datetime(\"{date}\")'"
        )
    };
    // A Saturday and a Monday.
    for (date, holds) in [("2026-08-01", true), ("2026-08-03", false)] {
        let directory = Directory::small("weekday", permit);
        fs::write(directory.0.join("tests.toml"), invariant(date)).unwrap();
        let proofs = proved(&directory.0);
        assert_eq!(proofs.invariants[0].holds(), holds, "{:?}", proofs.invariants);
    }
}

/// What callers claim and ask for, and emergencies, are part of the world.
#[test]
fn claims_scopes_and_emergencies_are_found() {
    let catalogue = "[dev]\nrole_arn = \"arn:aws:iam::123456789012:role/vended-dev\"
        [dev.scopes.look]\npolicy_arns = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\n";
    let permit = |condition: &str| {
        format!(
            "@id(\"p\") permit (principal, action == Sentinel::Action::\"vend\", resource) when {{ {condition} }};"
        )
    };
    let bundle = |name: &str, condition: &str| {
        let files = [("profiles.toml", catalogue), ("access.cedar", &*permit(condition))];
        Directory::with(name, &files)
    };
    let never = bundle("never", "context.duration < 0");
    for (condition, witness) in [
        ("context.claimed has ticket && context.claimed.ticket == \"OPS-1\"", "ticket = \"OPS-1\""),
        (
            "context.claimed has agent && context.claimed.agent like \"coding-*\"",
            "agent = \"coding-",
        ),
        ("context has scope", "scope = \"look\""),
        ("context has emergency", "emergency = { "),
    ] {
        let new = bundle("claims", condition);
        let comparison = compared(&never.0, &new.0);
        assert_eq!(changes(&comparison), [("grants", Action::Vend, "dev")], "{condition}");
        let (before, after) = replayed(&comparison, &never.0, &new.0);
        assert!(before.is_none() && after.is_some(), "{condition}");
        let found = witnesses(&comparison).next().unwrap().to_string();
        assert!(found.contains(witness), "{found} should have {witness}");
    }
    // The profile has no such scope, so there is no such request.
    let other = bundle("other", "context has scope && context.scope == \"other\"");
    assert!(changes(&compared(&never.0, &other.0)).is_empty());
}

#[test]
fn differences_of_the_catalogue_are_judged_by_what_they_do() {
    for (from, to, effect) in [
        ("max_duration = 900", "max_duration = 1200", Effect::Widens),
        ("max_duration = 1800", "max_duration = 900", Effect::Narrows),
        ("role/vended-production", "role/vended-other", Effect::Widens),
        ("Operate production", "Run production", Effect::Neutral),
        ("max_duration = 900", "max_duration = 900\nbind_source_ip = true", Effect::Narrows),
    ] {
        let new = Directory::changed("catalogue", "profiles.toml", from, to);
        let (old, new) = (Bundle::load(Path::new(STARTER)).unwrap(), Bundle::load(&new.0).unwrap());
        let found: Vec<Effect> =
            catalogue::differences(&old, &new).iter().map(|difference| difference.effect).collect();
        assert_eq!(found, [effect], "{to}");
    }
}
