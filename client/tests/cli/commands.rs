//! The commands that inform.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Answer, CLIENT_TOKEN, Home, Ran, Stub, closed_port};

const STS: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:sts::123456789012:assumed-role/ci/run-7</Arn><UserId>AROA:run-7</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

fn answering(answer: Answer) -> (Home, Stub) {
    (Home::new(), Stub::start(move |_, _| answer.clone()))
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[test]
fn profiles_are_listed() {
    let body = r#"{"profiles":[{"name":"development","description":"Build and debug","max_duration":3600},{"name":"ro","description":"Look","max_duration":900}]}"#;
    let (home, stub) = answering(Answer::new(200, body));
    let ran = home.run(&stub.url, &["profiles"]);
    assert_eq!(ran.stdout, "development    3600 s  Build and debug\nro              900 s  Look\n");
    assert_eq!(json(&home.run(&stub.url, &["profiles", "--json"]))["profiles"][1]["name"], "ro");
    assert_eq!(stub.requests()[0].target, "/v1/profiles");
}

#[test]
fn the_scopes_of_a_profile_are_listed() {
    let body = r#"{"profiles":[{"name":"development","description":"Build","max_duration":3600,"scopes":[{"name":"read-only","description":"Look, \u001b[2Jand touch nothing"},{"name":"logs","description":"The logs"}]},{"name":"ro","description":"Look","max_duration":900}]}"#;
    let (home, stub) = answering(Answer::new(200, body));
    assert_eq!(
        home.run(&stub.url, &["profiles"]).stdout,
        "development    3600 s  Build\n  --scope read-only  Look, [2Jand touch nothing\n  --scope logs  The logs\n\
         ro              900 s  Look\n"
    );
    let listed = json(&home.run(&stub.url, &["profiles", "--json"]));
    assert_eq!(listed["profiles"][0]["scopes"][1]["name"], "logs");
    assert_eq!(listed["profiles"][1].get("scopes"), None);
}

#[test]
fn no_profile_is_no_error() {
    let (home, stub) = answering(Answer::new(200, r#"{"profiles":[]}"#));
    let ran = home.run(&stub.url, &["profiles"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("sentinel explain"));
}

#[test]
fn explain_ends_with_the_code_of_a_refusal_if_it_would_be_one() {
    let refused = r#"{"profile":"production","allowed":false,"reasons":["Open on weekdays."],"missing":["time"]}"#;
    let (home, stub) = answering(Answer::new(200, refused));
    let ran = home.run(
        &stub.url,
        &["explain", "production", "--duration", "900", "--device", "MAC-1", "--agent", "ci"],
    );
    assert_eq!(ran.code, 5);
    assert!(
        ran.stdout.contains("Open on weekdays.") && ran.stdout.contains("Another hour"),
        "{ran:?}"
    );
    assert_eq!(
        stub.requests()[0].target,
        "/v1/explain?profile=production&duration=900&device_id=MAC-1&agent=ci"
    );
    assert_eq!(
        json(&home.run(&stub.url, &["explain", "production", "--json"]))["missing"][0],
        "time"
    );

    let allowed = r#"{"profile":"a","allowed":true,"reasons":[],"duration":900,"missing":[]}"#;
    let (home, stub) = answering(Answer::new(200, allowed));
    assert_eq!(home.run(&stub.url, &["explain", "a"]).code, 0);
}

#[test]
fn whoami_shows_the_identity_and_the_principal() {
    let (home, sts) = answering(Answer::new(200, STS));
    let run = |option: &[&str]| {
        let mut command = home.command(&["whoami", "--url", "https://unused.example"]);
        command.args(option).env("AWS_ENDPOINT_URL_STS", &sts.url);
        command.env("HTTPS_PROXY", closed_port());
        Ran::of(command)
    };
    let mut whoami = home.command(&["whoami", "--url", &Stub::vending().url]);
    whoami.env("AWS_ENDPOINT_URL_STS", &sts.url);
    let ran = Ran::of(whoami);
    assert!(
        ran.stdout.contains("you sign as  arn:aws:sts::123456789012:assumed-role/ci/run-7"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("principal    arn:aws:sts::123456789012:assumed-role/ci\n"));
    assert!(ran.stdout.contains("everybody with this role is one principal"));
    assert_eq!(json(&run(&["--json"]))["name"], "ci", "the end point itself need not be reached");
}

#[test]
fn whoami_reports_keys_that_sts_does_not_accept() {
    let refusal = "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>";
    let (home, sts) = answering(Answer::new(403, refusal));
    let mut command = home.command(&["whoami", "--url", &Stub::vending().url]);
    command.env("AWS_ENDPOINT_URL_STS", &sts.url);
    Ran::of(command).failed(4, &["STS does not accept your AWS credentials (ExpiredToken"]);
}

#[test]
fn doctor_finds_nothing_where_all_is_well() {
    let (home, sts) = answering(Answer::new(200, STS));
    let health = Answer::new(200, r#"{"status":"ok","version":"0.1.0"}"#);
    let stub = Stub::start_with_health(health, |n, _| Answer::credentials(n, 3600));
    let mut command = home.command(&["doctor", "--url", &stub.url]);
    command.env("AWS_ENDPOINT_URL_STS", &sts.url);
    let ran = Ran::of(command);
    assert_eq!(ran.code, 0, "{ran:?}");
    for line in [
        "ok    settings",
        "ok    cache",
        "ok    AWS credentials",
        "ok    who signs",
        "ok    clock",
        "ok    end point        sentinel-tvm 0.1.0",
    ] {
        assert!(ran.stdout.contains(line), "{line} in {}", ran.stdout);
    }
    assert!(home.cached("new").is_empty());
}

#[test]
fn doctor_names_each_fault_and_its_remedy() {
    let (home, sts) = answering(Answer::new(200, STS));
    let run = |command: &mut std::process::Command| {
        command.args(["doctor", "--json"]).env("AWS_ENDPOINT_URL_STS", &sts.url);
        let output = command.output().unwrap();
        Ran::from(output)
    };
    let failed = |ran: &Ran, check: &str, text: &str| {
        let checks = json(ran);
        let found =
            checks.as_array().unwrap().iter().find(|it| it["check"] == check).unwrap().clone();
        assert_eq!(found["ok"], false, "{checks}");
        assert!(found["detail"].as_str().unwrap().contains(text), "{found}");
        assert!(!found["next"].as_str().unwrap().is_empty());
    };

    let ran = run(&mut home.command(&[]));
    assert_eq!(ran.code, 3);
    failed(&ran, "settings", "no end point is set");

    let ran = run(home
        .command(&["--url", &closed_port(), "--timeout", "2"])
        .env("HOME", "/proc/nowhere"));
    assert_eq!(ran.code, 8);
    failed(&ran, "cache", "cannot be created");
    failed(&ran, "end point", "no connection");

    let ran = run(home
        .command(&["--url", "https://a.lambda-url.eu-west-1.on.aws", "--timeout", "1"])
        .env("HTTPS_PROXY", closed_port()));
    failed(&ran, "settings", "the URL is in eu-west-1");

    let ran = run(home.command(&["--url", &closed_port()]).env_remove("AWS_ACCESS_KEY_ID"));
    assert_eq!(ran.code, 4);
    failed(&ran, "AWS credentials", "were not found");

    let health = Answer::new(403, r#"{"Message":"Forbidden"}"#)
        .header("Date", "Wed, 04 Mar 2026 10:10:00 GMT");
    let stub = Stub::start_with_health(health, |n, _| Answer::credentials(n, 3600));
    let ran = run(&mut home.command(&["--url", &stub.url]));
    failed(&ran, "clock", "is off by");
    failed(&ran, "end point", "Forbidden");
}

#[test]
fn the_console_url_signs_in() {
    let home = Home::new();
    let signin = Stub::start(|_, _| Answer::new(200, r#"{"SigninToken":"sign in/token"}"#));
    let stub = Stub::vending();
    home.write(
        ".config/sentinel/config.toml",
        &format!("[endpoints.main]\nurl = '{}'\nsignin_url = '{}'\n", stub.url, signin.url),
    );
    let ran = Ran::of(home.command(&[
        "console",
        "development",
        "--print",
        "--destination",
        "https://console.aws.amazon.com/s3",
    ]));
    assert_eq!(
        ran.stdout,
        format!(
            "{}/federation?Action=login&Issuer={}&Destination=https%3A%2F%2Fconsole.aws.amazon.com%2Fs3&SigninToken=sign+in%2Ftoken\n",
            signin.url,
            stub.url.replace(':', "%3A").replace('/', "%2F")
        )
    );
    let target = &signin.requests()[0].target;
    assert!(
        target.starts_with(
            "/federation?Action=getSigninToken&Session=%7B%22sessionId%22%3A%22ASIA1%22"
        ),
        "{target}"
    );
}

#[test]
fn a_console_of_an_unknown_partition_needs_its_addresses() {
    let (home, stub) = (Home::new(), Stub::vending());
    let run = |signin: &str| {
        let settings = format!("[endpoints.main]\nurl = '{}'\n{signin}", stub.url);
        home.write(".config/sentinel/config.toml", &settings);
        let mut command = home.command(&["console", "development", "--print"]);
        command.env("SENTINEL_REGION", "eusc-de-east-1");
        Ran::of(command)
    };
    run("").failed(3, &["eusc-de-east-1 is not known", "signin_url"]);
    run("signin_url = 'https://signin.example'\n").failed(2, &["--destination"]);
    assert_eq!(stub.requests().len(), 0, "nothing was vended");
}

#[test]
fn a_sign_in_service_that_refuses() {
    let home = Home::new();
    let signin = Stub::start(|_, _| Answer::new(400, "no: vended-secret-key"));
    home.write(
        ".config/sentinel/config.toml",
        &format!(
            "[endpoints.main]\nurl = '{}'\nsignin_url = '{}'\n",
            Stub::vending().url,
            signin.url
        ),
    );
    Ran::of(home.command(&["console", "development", "--print"]))
        .failed(7, &["refused the session (HTTP 400)"]);
    Ran::of(home.command(&["console", "development", "--destination", "javascript:alert(1)"]))
        .failed(2, &["https://"]);
}

#[test]
fn forget_removes_the_cached_sessions() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &["credentials", "one"]).vended();
    home.run(&stub.url, &["credentials", "two"]).vended();
    let ran = home.run(&stub.url, &["forget"]);
    assert!(ran.stdout.starts_with("cached sessions removed: 2;"), "{ran:?}");
    assert!(home.cached("json").is_empty());
}

#[test]
fn every_shell_gets_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = Ran::of(home.command(&["completion", shell]));
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("credentials") && ran.stdout.contains("doctor"), "{shell}");
    }
}

#[test]
fn a_token_is_never_an_argument() {
    let ran = Ran::of(Home::new().command(&["credentials", "a", "--client-token", "x"]));
    assert_eq!(ran.code, 2);
    let ran = Ran::of(Home::new().command(&["token", "store", "x"]));
    assert_eq!(ran.code, 2);
}

/// Needs the kernel's keyrings, which containers may forbid; then there is nothing to test but the sentence.
#[test]
fn the_key_ring_holds_the_token_and_the_credentials() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.write(
        ".config/sentinel/config.toml",
        &format!(
            "[endpoints.main]\nurl = '{}'\nclient_token_keyring = true\ncache = 'keyring'\n",
            stub.url
        ),
    );
    let mut child = home
        .command(&["token", "store"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{CLIENT_TOKEN}\n").as_bytes()).unwrap();
    let stored = Ran::from(child.wait_with_output().unwrap());
    if stored.code != 0 {
        stored.failed(8, &["the key ring", "client_token_file"]);
        return;
    }
    for _ in 0..2 {
        Ran::of(home.command(&["credentials", "development"])).vended();
    }
    assert_eq!(stub.requests().len(), 1);
    assert_eq!(stub.requests()[0].headers["x-sentinel-token"], CLIENT_TOKEN);
    assert!(home.cached("json").is_empty());
    assert!(Ran::of(home.command(&["forget"])).stdout.starts_with("cached sessions removed: 1;"));
    assert_eq!(Ran::of(home.command(&["token", "remove"])).code, 0);
    Ran::of(home.command(&["credentials", "development"])).failed(3, &["no client token for main"]);
}

const REQUEST: &str = r#"{"id":"1f8b0a3c5d7e9f21-0a1b2c3d","profile":"production","state":"pending",
    "requester":"arn:aws:iam::123456789012:user/alice","reason":"an\u202e outage","ticket":"OPS-1","duration":1800,
    "created_at":"2026-03-04T10:30:00Z","expires_at":"2026-03-05T10:30:00Z","may":["approve","deny"]}"#;

#[test]
fn access_is_requested_and_decided() {
    let (home, stub) = answering(Answer::new(200, REQUEST));
    let options = ["--reason", "an outage", "--ticket", "OPS-1", "--duration", "1800"];
    let ran = home.run(&stub.url, &[&["request", "production"], &options[..]].concat());
    assert_eq!(
        ran.stdout,
        "1f8b0a3c5d7e9f21-0a1b2c3d  pending  production  1800 s\n  who      arn:aws:iam::123456789012:user/alice\n  \
         why      an outage\n  ticket   OPS-1\n  until    2026-03-05T10:30:00Z\n  you may  approve, deny\n"
    );
    for what in ["approve", "deny", "withdraw"] {
        let ran = home.run(&stub.url, &[what, "1f8b0a3c5d7e9f21-0a1b2c3d", "--json"]);
        assert_eq!(json(&ran)["state"], "pending", "{ran:?}");
    }
    let targets: Vec<String> =
        stub.requests().iter().map(|request| request.target.clone()).collect();
    let path = |what: &str| format!("/v1/requests/1f8b0a3c5d7e9f21-0a1b2c3d/{what}");
    assert_eq!(
        targets,
        ["/v1/requests".to_owned(), path("approve"), path("deny"), path("withdraw")]
    );
    assert_eq!(stub.requests()[0].headers["content-type"], "application/json");
    let sent: serde_json::Value = serde_json::from_str(&stub.requests()[0].body).unwrap();
    let wanted = serde_json::json!({ "profile": "production", "reason": "an outage", "ticket": "OPS-1", "duration": 1800 });
    assert_eq!(sent, wanted);
    assert_eq!(stub.requests()[1].body, "");
}

#[test]
fn requests_are_listed() {
    let (home, stub) = answering(Answer::new(200, format!(r#"{{"requests":[{REQUEST}]}}"#)));
    assert!(home.run(&stub.url, &["requests"]).stdout.contains("you may  approve, deny"));
    let (home, stub) = answering(Answer::new(200, r#"{"requests":[]}"#));
    assert!(home.run(&stub.url, &["requests"]).stdout.contains("You have no request"));
}

#[test]
fn what_changes_something_is_not_sent_twice() {
    let (home, stub) = answering(Answer::error(503, "SERVICE_UNAVAILABLE", "Try again."));
    home.run(&stub.url, &["approve", "1f8b0a3c5d7e9f21-0a1b2c3d"])
        .failed(7, &["SERVICE_UNAVAILABLE"]);
    assert_eq!(stub.requests().len(), 1);
    let (home, stub) = answering(Answer::error(403, "OWN_REQUEST", "Another person."));
    home.run(&stub.url, &["approve", "1f8b0a3c5d7e9f21-0a1b2c3d"])
        .failed(5, &["OWN_REQUEST", "ask another person"]);
    home.run(&stub.url, &["approve", "../credentials"]).failed(2, &["is not the id"]);
}

#[test]
fn breaking_the_glass_says_until_when() {
    let body = r#"{"profile":"database","reason":"the database is on fire","began_at":"2026-03-04T10:30:00Z","ends_at":"2026-03-04T14:30:00Z"}"#;
    let (home, stub) = answering(Answer::new(200, body));
    let ran =
        home.run(&stub.url, &["break-glass", "database", "--reason", "the database is on fire"]);
    assert_eq!(
        ran.stdout,
        "database: you have it until 2026-03-04T14:30:00Z. This raises an alarm.\n"
    );
    assert_eq!(stub.requests()[0].target, "/v1/break-glass");
}
