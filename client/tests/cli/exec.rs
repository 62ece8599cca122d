//! `sentinel exec`: what the command finds, and what becomes of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Answer, Home, Ran, Stub, VENDED_KEY, container};

const PRINT: &str = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN";

/// A command that runs until the test ends it, and the end point that it was given.
struct Running {
    child: Child,
    url: String,
    token: String,
}

impl Running {
    fn start(home: &Home, url: &str, script: &str) -> Self {
        let mut command = home.command(&["exec", "development", "--url", url, "--", "sh", "-c"]);
        let script = format!("{PRINT}; {script}");
        let mut child =
            command.arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (url, token) = line.trim().split_once(' ').unwrap();
        Self { url: url.to_owned(), token: token.to_owned(), child }
    }

    fn access_key_id(&self) -> String {
        let (status, body) = container(&self.url, &self.token);
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(body["Token"].is_string() && body["Expiration"].is_string());
        body["AccessKeyId"].as_str().unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-s", name, &process])
                .status()
                .unwrap()
                .success()
        );
    }

    fn end(self) -> Ran {
        Ran::from(self.child.wait_with_output().unwrap())
    }
}

#[test]
fn a_command_outlives_its_first_credentials() {
    let (home, stub) = (Home::new(), Stub::start(|n, _| Answer::credentials(n, 3)));
    let running = Running::start(&home, &stub.url, "exec sleep 60");
    assert_eq!(running.access_key_id(), "ASIA1");
    let mut seen = vec!["ASIA1".to_owned()];
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(500));
        let id = running.access_key_id();
        if seen.last() != Some(&id) {
            seen.push(id);
        }
    }
    assert!(seen.len() >= 4, "{seen:?}");
    running.signal("TERM");
    assert_eq!(running.end().code, 128 + 15);
}

#[test]
fn a_command_that_is_refused_does_not_start() {
    let home = Home::new();
    let stub = Stub::start(|_, _| Answer::error(403, "POLICY_DENY", "No."));
    let marker = home.path("started");
    let touch = format!("touch {}", marker.display());
    home.run(&stub.url, &["exec", "development", "--", "sh", "-c", &touch])
        .failed(5, &["POLICY_DENY"]);
    assert!(!marker.exists());
}

#[test]
fn the_exit_status_is_the_commands() {
    let (home, stub) = (Home::new(), Stub::vending());
    for option in ["--no-cache", "--env"] {
        let run = |words: &[&str]| {
            let arguments = [&["exec", "development", option, "--"][..], words].concat();
            home.run(&stub.url, &arguments)
        };
        assert_eq!(run(&["sh", "-c", "exit 0"]).code, 0);
        assert_eq!(run(&["sh", "-c", "exit 42"]).code, 42);
        assert_eq!(run(&["no-such-command"]).code, 127);
        assert_eq!(run(&["/dev/null"]).code, 126);
        let stderr = run(&["no-such-command"]).stderr;
        assert!(stderr.contains("the command `no-such-command` cannot start"), "{stderr}");
    }
    let ran = home.run(&stub.url, &["exec", "development", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(ran.code, 128 + 9);
}

#[test]
fn signals_reach_the_command() {
    let (home, stub) = (Home::new(), Stub::vending());
    for (name, code) in
        [("TERM", 11), ("INT", 12), ("HUP", 13), ("USR1", 14), ("USR2", 15), ("QUIT", 16)]
    {
        let script = format!("trap 'exit {code}' {name}; while :; do sleep 0.05; done");
        let running = Running::start(&home, &stub.url, &script);
        std::thread::sleep(Duration::from_millis(300));
        running.signal(name);
        assert_eq!(running.end().code, code, "{name}");
    }
}

#[test]
fn variables_hold_the_credentials_for_programs_that_know_nothing_else() {
    let (home, stub) = (Home::new(), Stub::vending());
    let print =
        "echo $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY ${AWS_CONTAINER_CREDENTIALS_FULL_URI-none}";
    let ran = home.run(&stub.url, &["exec", "development", "--env", "--", "sh", "-c", print]);
    assert_eq!(ran.stdout, format!("ASIA1 {VENDED_KEY} none\n"));
}

/// THREAT: the command uses the caller's own credentials, not the vended ones, because an SDK finds them first.
/// PREVENTION: variables and a default profile that would win are taken away.
#[test]
fn security_the_command_finds_no_other_credentials() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.write(".aws/config", "[default]\nregion = eu-west-1\nsso_session = corp\n");
    let mut command = home.command(&["exec", "development", "--url", &stub.url, "--", "env"]);
    command
        .env("AWS_PROFILE", "default")
        .env("AWS_ROLE_ARN", "arn")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", "/x");
    let ran = Ran::of(command);
    let names: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("AWS_")).collect();
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ] {
        assert!(!names.iter().any(|line| line.starts_with(&format!("{name}="))), "{names:?}");
    }
    for line in [
        "AWS_CONFIG_FILE=/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
        "AWS_REGION=eu-west-1",
    ] {
        assert!(names.contains(&line), "{line} in {names:?}");
    }
}

#[test]
fn a_default_profile_without_credentials_stays_visible() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.write(".aws/config", "[default]\nregion = eu-west-1\n");
    let ran = home.run(&stub.url, &["exec", "development", "--", "env"]);
    assert!(!ran.stdout.contains("AWS_CONFIG_FILE="));
}

#[test]
fn without_a_cache_the_credentials_are_kept_while_it_runs() {
    let (home, stub) = (Home::new(), Stub::vending());
    let mut command =
        home.command(&["exec", "development", "--no-cache", "--url", &stub.url, "--", "sh", "-c"]);
    let mut child =
        command.arg(format!("{PRINT}; exec sleep 60")).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let (url, token) = line.trim().split_once(' ').unwrap();
    for _ in 0..3 {
        assert_eq!(container(url, token).0, 200);
    }
    assert_eq!(stub.requests().len(), 1);
    assert!(home.cached("json").is_empty());
    assert!(
        std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap().success()
    );
    child.wait().unwrap();
}
