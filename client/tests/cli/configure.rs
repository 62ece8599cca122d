//! `sentinel configure`: what it writes, and what it leaves alone.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::{Answer, Home, Ran, Stub};

const PROFILES: &str = r#"{"profiles":[{"name":"development","description":"d","max_duration":3600},{"name":"read-only","description":"r","max_duration":900}]}"#;

fn stub() -> Stub {
    Stub::start(|number, request| match request.target.as_str() {
        "/v1/profiles" => Answer::new(200, PROFILES),
        _ => Answer::credentials(number, 3600),
    })
}

fn answered(home: &Home, arguments: &[&str], answer: &str) -> Ran {
    let mut command = home.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

fn text(home: &Home, relative: &str) -> String {
    std::fs::read_to_string(home.path(relative)).unwrap()
}

#[test]
fn a_new_user_has_profiles_that_work() {
    let (home, stub) = (Home::new(), stub());
    let ran = answered(&home, &["configure", "--url", &stub.url, "--as", "main"], "y\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    for shown in [
        "  + [profile development]",
        "  + [profile read-only]",
        "  + [endpoints.main]",
        "Write this? [y/N]",
    ] {
        assert!(ran.stderr.contains(shown), "{shown} in {}", ran.stderr);
    }
    let config = text(&home, ".aws/config");
    let line = config.lines().find(|line| line.starts_with("credential_process")).unwrap();
    let command = line.split_once(" = ").unwrap().1.to_owned();
    assert!(command.ends_with("/sentinel credentials development --endpoint main"), "{command}");
    let mode =
        |relative| std::fs::metadata(home.path(relative)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".aws/config"), mode(".config/sentinel/config.toml")), (0o600, 0o600));

    let words: Vec<&str> = command.split(' ').skip(1).collect();
    Ran::of(home.command(&words)).vended();

    let again = answered(&home, &["configure", "--endpoint", "main"], "");
    assert_eq!(again.stdout, "Nothing is left to change.\n");
}

#[test]
fn the_place_in_the_path_is_written() {
    let (home, stub) = (Home::new(), stub());
    std::fs::create_dir(home.path("bin")).unwrap();
    let program = home.command(&[]).get_program().to_owned();
    std::os::unix::fs::symlink(program, home.path("bin/sentinel")).unwrap();
    let mut command =
        home.command(&["configure", "development", "--yes", "--as", "a.b", "--url", &stub.url]);
    command.env("PATH", home.path("bin"));
    assert_eq!(Ran::of(command).code, 0);
    let link = home.path("bin/sentinel").display().to_string();
    assert!(
        text(&home, ".aws/config").contains(&format!("credential_process = {link} credentials"))
    );
    assert!(text(&home, ".config/sentinel/config.toml").starts_with("[endpoints.\"a.b\"]\n"));
    Ran::of(home.command(&["credentials", "development", "--endpoint", "a.b"])).vended();
}

#[test]
fn nothing_is_written_without_a_yes() {
    let (home, stub) = (Home::new(), stub());
    for answer in ["", "n\n", "maybe\n"] {
        let ran = answered(&home, &["configure", "--url", &stub.url], answer);
        assert_eq!(ran.code, 8);
        assert!(ran.stderr.contains("nothing was changed"));
    }
    assert!(!home.path(".aws").exists() && !home.path(".config").exists());
}

#[test]
fn what_was_there_is_kept() {
    let (home, stub) = (Home::new(), stub());
    let before = "# mine\n[profile read-only]\nsso_session = corp\n\n[profile development]\nregion = eu-west-9\n\
        credential_process = /old/sentinel credentials development\n[default]\nregion = eu-west-1\n";
    let file = home.write(".aws/config", before);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();

    let ran = home.run(&stub.url, &["configure", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("`read-only` exists and is left alone"), "{}", ran.stderr);

    let after = text(&home, ".aws/config");
    let changed: Vec<_> =
        before.lines().zip(after.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!(changed.len(), 1, "{after}");
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    let copy = ran.stdout.split("is in ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), before);
}

#[test]
fn a_prefix_avoids_names_that_are_taken() {
    let (home, stub) = (Home::new(), stub());
    let arguments =
        ["configure", "read-only", "--prefix", "vended-", "--profile-region", "eu-west-2", "--yes"];
    assert_eq!(home.run(&stub.url, &arguments).code, 0);
    let config = text(&home, ".aws/config");
    assert!(config.starts_with("[profile vended-read-only]\nregion = eu-west-2\n"), "{config}");
    assert!(config.contains("credentials read-only --endpoint default"));
}

const SCOPED: &str = r#"{"profiles":[{"name":"development","description":"d","max_duration":3600,"scopes":[{"name":"read-only","description":"r"}]},{"name":"other","description":"o","max_duration":900}]}"#;

#[test]
fn a_scope_makes_profiles_of_their_own() {
    let stub = Stub::start(|number, request| match request.target.as_str() {
        "/v1/profiles" => Answer::new(200, SCOPED),
        _ => Answer::credentials(number, 3600),
    });
    let home = Home::new();
    assert_eq!(home.run(&stub.url, &["configure", "--yes"]).code, 0);
    let ran = home.run(&stub.url, &["configure", "--scope", "read-only", "--yes"]);
    assert!(ran.stdout.contains("--profile development:read-only\n"), "{ran:?}");
    let config = text(&home, ".aws/config");
    let sections: Vec<_> = config.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(
        sections,
        ["[profile development]", "[profile other]", "[profile development:read-only]"]
    );
    let command = config.lines().last().unwrap().split_once(" = ").unwrap().1;
    assert!(
        command.ends_with("/sentinel credentials development --scope read-only --endpoint default"),
        "{command}"
    );
    Ran::of(home.command(&command.split(' ').skip(1).collect::<Vec<_>>())).vended();
    let asked = stub.requests().last().unwrap().target.clone();
    assert_eq!(asked, "/v1/credentials?profile=development&scope=read-only");

    home.run(&stub.url, &["configure", "--scope", "none", "--yes"])
        .failed(2, &["no profile that you could get now has the scope `none`"]);
    let arguments = ["configure", "hidden", "--scope", "ro", "--prefix", "a-", "--yes"];
    assert_eq!(home.run(&stub.url, &arguments).code, 0);
    assert!(text(&home, ".aws/config").contains("[profile a-hidden:ro]\n"));
}

#[test]
fn an_end_point_of_the_same_name_is_not_overwritten() {
    let (home, stub) = (Home::new(), stub());
    home.write(
        ".config/sentinel/config.toml",
        "[endpoints.default]\nurl = 'https://other.example'\n",
    );
    home.run(&stub.url, &["configure", "--yes"]).failed(3, &["another URL", "--as"]);
}

/// THREAT: a directory's name becomes part of a command that a shell runs.
/// PREVENTION: a path that AWS tools would read in different ways is refused; one with blanks is quoted.
#[test]
fn security_the_programs_path_cannot_break_out_of_its_word() {
    let (home, stub) = (Home::new(), stub());
    let configure = |directory: &str| {
        let place = home.path(directory);
        std::fs::create_dir(&place).unwrap();
        std::fs::copy(home.command(&[]).get_program(), place.join("sentinel")).unwrap();
        let mut command = std::process::Command::new(place.join("sentinel"));
        command.args(["configure", "development", "--yes", "--url", &stub.url]).env_clear();
        command.env("HOME", home.path("")).env("SENTINEL_REGION", "eu-central-1");
        Ran::of(command)
    };
    for directory in ["a\"b", "a$(b)", "a'b", "a;b", "a\nb"] {
        configure(directory).failed(8, &["the path of this program", "move the program"]);
    }
    assert!(!home.path(".aws/config").exists());
    assert_eq!(configure("Program Files").code, 0);
    let place = home.path("Program Files/sentinel");
    let line = format!("credential_process = \"{}\" credentials ", place.display());
    assert!(text(&home, ".aws/config").contains(&line));
}

#[test]
fn a_token_file_is_found_from_every_directory() {
    let (home, stub) = (Home::new(), stub());
    std::fs::set_permissions(
        home.write("token", "a-token"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let mut command = home.command(&["configure", "--yes", "--url", &stub.url]);
    command.args(["--client-token-file", "token"]).current_dir(home.path(""));
    assert_eq!(Ran::of(command).code, 0);
    let line = format!("client_token_file = \"{}\"\n", home.path("token").display());
    assert!(text(&home, ".config/sentinel/config.toml").contains(&line));
    Ran::of(home.command(&["profiles"]));
}

#[test]
fn a_file_that_changes_while_the_user_thinks_is_not_overwritten() {
    let (home, stub) = (Home::new(), stub());
    home.write(".aws/config", "[default]\nregion = eu-west-1\n");
    let mut command = home.command(&["configure", "--url", &stub.url]);
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(output).spawn().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"[y/N] ") {
        let mut byte = [0];
        child.stderr.as_mut().unwrap().read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    home.write(".aws/config", "[default]\nregion = eu-west-2\n");
    child.stdin.take().unwrap().write_all(b"y\n").unwrap();
    Ran::from(child.wait_with_output().unwrap()).failed(8, &["was changed by another program"]);
    assert_eq!(text(&home, ".aws/config"), "[default]\nregion = eu-west-2\n");
}

#[test]
fn without_a_home_nothing_is_configured() {
    let (home, stub) = (Home::new(), stub());
    let mut command = home.command(&["configure", "--yes", "--url", &stub.url]);
    command.env_remove("HOME");
    Ran::of(command).failed(8, &["there is no home directory for the settings", "set HOME"]);
}

/// THREAT: a name smuggles a second setting or a command into a configuration file.
/// PREVENTION: names are plain; those that an end point sends, too.
#[test]
fn security_names_cannot_break_out_of_their_line() {
    let stub = Stub::start(|_, _| {
        Answer::new(
            200,
            r#"{"profiles":[{"name":"a\ncredential_process = evil","description":"","max_duration":900}]}"#,
        )
    });
    let home = Home::new();
    assert_eq!(home.run(&stub.url, &["configure", "--yes"]).code, 2);
    for arguments in [["configure", "a; evil"], ["configure", "$(evil)"]] {
        assert_eq!(home.run(&stub.url, &arguments).code, 2);
    }
    assert_eq!(home.run(&stub.url, &["configure", "a", "--prefix", "x]\n"]).code, 2);
    assert_eq!(home.run(&stub.url, &["configure", "a", "--as", "x\"]\n"]).code, 2);
    for scope in ["x]\n", "x evil", "$(evil)", "--endpoint"] {
        let scope = format!("--scope={scope}");
        assert_eq!(home.run(&stub.url, &["configure", "a", &scope, "--yes"]).code, 2, "{scope}");
    }
    let region = ["configure", "a", "--profile-region", "x\ncredential_process = evil"];
    assert_eq!(home.run(&stub.url, &region).code, 3);
    home.write(
        ".config/sentinel/config.toml",
        &format!("[endpoints.\"a; evil\"]\nurl = '{}'\n", stub.url),
    );
    Ran::of(home.command(&["configure", "a", "--yes"])).failed(2, &["`a; evil` cannot be a name"]);
    assert!(!home.path(".aws/config").exists());
}
