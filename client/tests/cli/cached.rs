//! The cache, as one process after the other finds it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{Answer, Home, Ran, Stub, now};

const ASK: [&str; 2] = ["credentials", "development"];

#[test]
fn a_second_process_asks_nobody() {
    let (home, stub) = (Home::new(), Stub::vending());
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA1");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA1");
    assert_eq!(stub.requests().len(), 1);

    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.entry()), 0o600);
    assert_eq!(mode(home.path(".cache/sentinel")), 0o700);
    for lock in home.cached("lock") {
        assert_eq!(mode(lock), 0o600);
    }
}

#[test]
fn a_cached_answer_needs_no_tls_and_no_aws_credentials() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    command.env("AWS_CA_BUNDLE", "/nowhere").env_remove("AWS_SECRET_ACCESS_KEY");
    Ran::of(command).vended();
}

#[test]
fn flags_pass_by_the_cache() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    assert_eq!(home.run(&stub.url, &["credentials", "development", "--refresh"]).vended(), "ASIA2");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
    assert_eq!(
        home.run(&stub.url, &["credentials", "development", "--no-cache"]).vended(),
        "ASIA3"
    );
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
}

#[test]
fn a_damaged_entry_is_reported_and_replaced() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    let whole = std::fs::read_to_string(home.entry()).unwrap();
    let other = whole.replace(r#""version":1"#, r#""version":9"#);

    let cut = &whole[..whole.len() / 2];
    for (text, why) in [(cut, "is damaged"), ("", "is damaged"), (&other, "has version 9, not 1")] {
        std::fs::write(home.entry(), text).unwrap();
        home.run(&stub.url, &ASK).vended_with_warning(&["warning: the cache file", why]);
        home.run(&stub.url, &ASK).vended();
    }
    assert_eq!(stub.requests().len(), 4);
}

/// THREAT: another user of the machine reads vended credentials, or puts their own in the cache.
/// PREVENTION: an entry that others can reach is not used, and replaced by a private one.
#[test]
fn security_an_entry_that_others_can_read_is_not_used() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    std::fs::set_permissions(home.entry(), std::fs::Permissions::from_mode(0o644)).unwrap();

    let ran = home.run(&stub.url, &ASK);
    assert_eq!(ran.vended_with_warning(&["can be read by others (mode 0644)"]), "ASIA2");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
}

/// THREAT: somebody prepares the cache of another user, or of root, with credentials of their own choice.
/// PREVENTION: neither an entry nor a directory of another user is used. Only root can give files away, so only root tests it.
#[test]
fn security_a_cache_of_another_user_is_not_used() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    let nobody = Some(65534);
    if std::os::unix::fs::chown(home.entry(), nobody, None).is_err() {
        return;
    }
    let ran = home.run(&stub.url, &ASK);
    assert_eq!(ran.vended_with_warning(&["belongs to another user; it was not used"]), "ASIA2");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2", "it was replaced");

    std::os::unix::fs::chown(home.path(".cache/sentinel"), nobody, None).unwrap();
    let ran = home.run(&stub.url, &ASK);
    let warning = ["belongs to another user: set XDG_CACHE_HOME", "were not cached"];
    assert_eq!(ran.vended_with_warning(&warning), "ASIA3");
}

/// THREAT: a link in the cache directory makes the program write somewhere else, or read what somebody else wrote.
/// PREVENTION: a new entry takes the place of the link, and what the link led to keeps its content.
#[test]
fn security_a_link_in_the_cache_is_not_written_through() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    let (entry, victim) = (home.entry(), home.write("victim", "precious"));
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).unwrap();
    for link in [entry.clone(), entry.with_extension("new")] {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(&victim, &link).unwrap();
    }
    assert_eq!(home.run(&stub.url, &ASK).vended_with_warning(&["is damaged"]), "ASIA2");
    assert!(!home.entry().is_symlink() && home.cached("new").is_empty());
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
}

#[test]
fn a_directory_that_others_can_write_is_not_used() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    let directory = home.path(".cache/sentinel");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();

    let ran = home.run(&stub.url, &ASK);
    let warning = ["others can write to the cache directory", "were not cached"];
    assert_eq!(ran.vended_with_warning(&warning), "ASIA2", "what is in it is not used, either");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn credentials_near_their_end_are_refreshed() {
    let stub =
        Stub::start(|number, _| Answer::credentials(number, if number == 1 { 100 } else { 3600 }));
    let home = Home::new();
    home.run(&stub.url, &ASK).vended();
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA1", "100 seconds: fresh for the first 80");
    let old = now() - 1000;
    rewrite_issued(&home, old);
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
}

/// Makes the entry look as if it had been vended at `at`.
fn rewrite_issued(home: &Home, at: i64) {
    let mut entry: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.entry()).unwrap()).unwrap();
    entry["issued"] = at.into();
    std::fs::write(home.entry(), entry.to_string()).unwrap();
}

#[test]
fn an_outage_does_not_take_credentials_that_are_still_valid() {
    let stub = Stub::start(|number, _| match number {
        1 => Answer::credentials(number, 100),
        _ => Answer::error(502, "CREDENTIAL_ERROR", "STS refused."),
    });
    let home = Home::new();
    home.run(&stub.url, &ASK).vended();
    rewrite_issued(&home, now() - 1000);

    let ran = home.run(&stub.url, &ASK);
    assert_eq!(ran.vended_with_warning(&["CREDENTIAL_ERROR", "still valid"]), "ASIA1");
}

#[test]
fn a_refusal_takes_effect_at_once() {
    let stub = Stub::start(|number, _| match number {
        1 => Answer::credentials(number, 100),
        _ => Answer::error(403, "POLICY_DENY", "Not any more."),
    });
    let home = Home::new();
    home.run(&stub.url, &ASK).vended();
    rewrite_issued(&home, now() - 1000);
    home.run(&stub.url, &ASK).failed(5, &["POLICY_DENY", "Not any more"]);
}

#[test]
fn without_a_home_credentials_are_vended_and_not_cached() {
    let (home, stub) = (Home::new(), Stub::vending());
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    command.env_remove("HOME");
    let ran = Ran::of(command);
    ran.vended_with_warning(&["there is no home directory for the cache", "not cached"]);
}

#[test]
fn on_a_full_disk_credentials_are_vended_and_not_cached() {
    let (home, stub) = (Home::new(), Stub::vending());
    // A limit of no bytes for each file: what a full disk does, without one.
    let script = r#"trap '' XFSZ; ulimit -f 0; exec "$0" "$@""#;
    let inner = home.command(&["credentials", "development", "--url", &stub.url]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(inner.get_program()).args(inner.get_args()).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    Ran::of(command).vended_with_warning(&["cannot be written", "not cached"]);
    assert!(home.cached("json").is_empty() && home.cached("new").is_empty());
    home.run(&stub.url, &ASK).vended();
}

/// THREAT: after `aws sso login` as another person, that person gets the sessions vended to the one before.
/// PREVENTION: the sign-ins are part of what selects an entry, if the AWS configuration uses them.
#[test]
fn security_another_sign_in_gets_new_credentials() {
    let (home, stub) = (Home::new(), Stub::vending());
    let sign_in = ".aws/sso/cache/d033e22ae348aeb5660fc2140aec35850c4da997.json";
    home.write(sign_in, r#"{"accessToken": "of ann"}"#);
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA1");
    home.write(sign_in, r#"{"accessToken": "of somebody"}"#);
    assert_eq!(
        home.run(&stub.url, &ASK).vended(),
        "ASIA1",
        "without single sign-on it means nothing"
    );

    home.write(".aws/config", "[profile a]\nsso_session = corp\n");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
    home.write(sign_in, r#"{"accessToken": "of bob"}"#);
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA3");
    home.write(sign_in, r#"{"accessToken": "of somebody"}"#);
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
}

/// THREAT: credentials vended for one scope, reason, ticket or agent serve another: more than was asked for, and an audit line that
/// says what the session is not used for.
/// PREVENTION: all four select an entry, and none can pass for another one, whether they come from arguments or variables.
#[test]
fn security_credentials_are_only_for_what_they_were_asked_for() {
    let (home, stub) = (Home::new(), Stub::vending());
    let asked: Vec<Vec<&str>> = vec![
        vec![],
        vec!["--scope", "x"],
        vec!["--reason", "x"],
        vec!["--ticket", "x"],
        vec!["--agent", "x"],
        vec!["--device", "x"],
        vec!["--scope", "y"],
        vec!["--reason", "y"],
        vec!["--ticket", "y"],
        vec!["--agent", "y"],
        vec!["--reason", "x", "--ticket", "x"],
        vec!["--ticket", "x", "--agent", "x"],
        vec!["--scope", "x", "--reason", "x", "--ticket", "x", "--agent", "x"],
    ];
    let words = |options: &[&'static str]| [&ASK, options].concat();
    let first: Vec<_> = asked.iter().map(|it| home.run(&stub.url, &words(it)).vended()).collect();
    assert_eq!(first, (1..=asked.len()).map(|n| format!("ASIA{n}")).collect::<Vec<_>>());
    let again: Vec<_> = asked.iter().map(|it| home.run(&stub.url, &words(it)).vended()).collect();
    assert_eq!(again, first, "each has an entry of its own");
    for (number, variable) in [(2, "REASON"), (3, "TICKET"), (4, "AGENT")] {
        let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
        command.env(format!("SENTINEL_{variable}"), "x");
        assert_eq!(Ran::of(command).vended(), first[number]);
    }
    assert_eq!(stub.requests().len(), asked.len());
}

#[test]
fn a_changed_aws_configuration_gets_new_credentials() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &ASK).vended();
    home.write(".aws/config", "[default]\nregion = eu-west-1\n");
    assert_eq!(home.run(&stub.url, &ASK).vended(), "ASIA2");
}
