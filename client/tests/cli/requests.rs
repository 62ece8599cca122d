//! What a request to the end point carries.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Answer, CLIENT_TOKEN, Home, Ran, Stub};

#[test]
fn credentials_are_printed_as_a_credential_process_does() {
    let (home, stub) = (Home::new(), Stub::vending());
    let ran = home.run(&stub.url, &["credentials", "development"]);

    assert_eq!(ran.vended(), "ASIA1");
    let body: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn a_request_is_signed_for_lambda_in_the_region() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &["credentials", "development", "--duration", "1800", "--device", "MAC-1"])
        .vended();

    let request = &stub.requests()[0];
    assert_eq!(request.target, "/v1/credentials?profile=development&duration=1800&device_id=MAC-1");
    let authorization = &request.headers["authorization"];
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"),
        "{authorization}"
    );
    assert!(authorization.contains("/eu-central-1/lambda/aws4_request"), "{authorization}");
    assert!(request.headers.contains_key("x-amz-security-token"));
}

#[test]
fn a_request_says_what_it_is_for() {
    let (home, stub) = (Home::new(), Stub::vending());
    let options =
        ["--scope", "read-only", "--reason", "a look & a half", "--ticket", "org/repo#12"];
    let words = [&["credentials", "development", "--agent", "claude@ci"], &options[..]].concat();
    home.run(&stub.url, &words).vended();
    assert_eq!(
        stub.requests()[0].target,
        "/v1/credentials?profile=development&scope=read-only&reason=a+look+%26+a+half&ticket=org%2Frepo%2312&agent=claude%40ci"
    );
}

#[test]
fn variables_say_it_for_commands_that_do_not() {
    let (home, stub) = (Home::new(), Stub::vending());
    for (arguments, expected) in [
        (&[][..], "reason=from+a+variable&ticket=OPS-1&agent=launcher"),
        (
            &["--ticket", "OPS-2", "--reason", "mine", "--agent", "ann"],
            "reason=mine&ticket=OPS-2&agent=ann",
        ),
    ] {
        let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
        command.args(arguments).env("SENTINEL_REASON", "from a variable");
        command.env("SENTINEL_TICKET", "OPS-1").env("SENTINEL_AGENT", "launcher");
        Ran::of(command).vended();
        let target = stub.requests().last().unwrap().target.clone();
        assert_eq!(target, format!("/v1/credentials?profile=development&{expected}"));
    }
}

#[test]
fn what_the_end_point_would_not_read_is_not_sent() {
    let (home, stub) = (Home::new(), Stub::vending());
    let long = "x".repeat(257);
    for (option, wrong, name) in [
        ("--scope", "-a", "the scope is not"),
        ("--scope", "a b", "the scope is not"),
        ("--reason", "a\nb", "the reason is not"),
        ("--reason", &long, "the reason is not"),
        ("--ticket", "a b", "the ticket is not"),
        ("--agent", "a=b", "the agent is not"),
    ] {
        let argument = format!("{option}={wrong}");
        for command in ["credentials", "explain", "serve"] {
            home.run(&stub.url, &[command, "development", &argument]).failed(2, &[name]);
        }
    }
    for command in ["request", "break-glass"] {
        let words = [command, "production", "--reason", "\u{202e}"];
        home.run(&stub.url, &words).failed(2, &["the reason is not"]);
        let words = [command, "production", "--reason", "an outage", "--ticket", "a b"];
        home.run(&stub.url, &words).failed(2, &["the ticket is not"]);
    }
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    command.env("SENTINEL_AGENT", "an agent");
    Ran::of(command).failed(2, &["the agent is not", "SENTINEL_AGENT"]);
    assert_eq!(stub.requests().len(), 0);
}

#[test]
fn settings_come_from_the_file() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.write(
        ".config/sentinel/config.toml",
        &format!("[endpoints.main]\nurl = '{}'\nregion = 'eu-west-3'\nduration = 900\n", stub.url),
    );
    let mut command = home.command(&["credentials", "development"]);
    command.env_remove("SENTINEL_REGION");
    Ran::of(command).vended();

    let request = &stub.requests()[0];
    assert!(request.headers["authorization"].contains("/eu-west-3/lambda/"));
    assert!(request.target.ends_with("duration=900"));
}

#[test]
fn a_client_token_comes_from_a_private_file() {
    let (home, stub) = (Home::new(), Stub::vending());
    let file = home.write("token", &format!("{CLIENT_TOKEN}\n"));
    let arguments = ["credentials", "development", "--client-token-file", file.to_str().unwrap()];

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.run(&stub.url, &arguments).failed(3, &["can be read by others (mode 0644)", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&stub.url, &arguments).vended();

    assert_eq!(stub.requests()[0].headers["x-sentinel-token"], CLIENT_TOKEN);
    let signed = &stub.requests()[0].headers["authorization"];
    assert!(signed.contains("x-sentinel-token"), "the signature covers it: {signed}");
}

#[test]
fn the_caller_is_proved_if_the_end_point_accepts_it() {
    for (health, proved) in [("accepted", true), ("required", true), ("off", false)] {
        let health = Answer::new(200, format!(r#"{{"caller_proof":"{health}"}}"#));
        let (home, stub) =
            (Home::new(), Stub::start_with_health(health, |n, _| Answer::credentials(n, 3600)));
        for profile in ["one", "two"] {
            home.run(&stub.url, &["credentials", profile]).vended();
        }
        for request in stub.requests() {
            assert_eq!(request.headers.contains_key("x-sentinel-caller-proof"), proved);
        }
        assert_eq!(stub.health_requests(), 1, "the answer is remembered");
    }
}

#[test]
fn an_end_point_that_begins_to_require_a_proof_gets_one() {
    let health = Answer::new(200, r#"{"caller_proof":"required"}"#);
    let stub = Stub::start_with_health(health, |number, request| {
        if request.headers.contains_key("x-sentinel-caller-proof") {
            Answer::credentials(number, 3600)
        } else {
            Answer::error(403, "CALLER_PROOF_INVALID", "A caller proof is required.")
        }
    });
    let home = Home::new();
    home.run(&Stub::vending().url, &["credentials", "other"]).vended();
    // What was remembered before: no proof.
    home.run(&stub.url, &["credentials", "development"]).vended();
    let memo = home
        .cached("memo")
        .into_iter()
        .find(|it| std::fs::read_to_string(it).unwrap().contains("true"));
    let memo = memo.unwrap();
    let text = std::fs::read_to_string(&memo).unwrap().replace("true", "false");
    std::fs::write(&memo, text).unwrap();

    home.run(&stub.url, &["credentials", "development", "--refresh"]).vended();
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn the_proof_can_be_switched_off() {
    let health = Answer::new(200, r#"{"caller_proof":"accepted"}"#);
    let stub = Stub::start_with_health(health, |n, _| Answer::credentials(n, 3600));
    let home = Home::new();
    home.write(
        ".config/sentinel/config.toml",
        &format!("[endpoints.main]\nurl = '{}'\ncaller_proof = 'off'\n", stub.url),
    );
    Ran::of(home.command(&["credentials", "development"])).vended();
    assert_eq!(stub.health_requests(), 0);
    assert!(!stub.requests()[0].headers.contains_key("x-sentinel-caller-proof"));
}

#[test]
fn another_profile_of_the_same_user_gets_credentials_of_its_own() {
    let (home, stub) = (Home::new(), Stub::vending());
    let run = |key: &str| {
        let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
        command.env("AWS_ACCESS_KEY_ID", key);
        Ran::of(command).vended()
    };
    assert_eq!(run("AKIAONE"), "ASIA1");
    assert_eq!(run("AKIATWO"), "ASIA2");
    assert_eq!(run("AKIAONE"), "ASIA1");
}
