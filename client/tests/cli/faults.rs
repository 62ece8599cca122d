//! Every fault has its sentence and its exit code.

use std::time::{Duration, Instant};

use crate::support::{Answer, Home, Ran, Stub, TlsStub, closed_port, silent};

const ASK: [&str; 2] = ["credentials", "development"];

fn answered(answer: Answer) -> (Ran, usize) {
    let stub = Stub::start(move |_, _| answer.clone());
    let ran = Home::new().run(&stub.url, &["credentials", "development", "--timeout", "3"]);
    (ran, stub.requests().len())
}

#[test]
fn an_end_point_that_is_down() {
    Home::new().run(&closed_port(), &ASK).failed(7, &["no connection to 127.0.0.1"]);
}

#[test]
fn a_name_that_cannot_be_resolved() {
    let ran = Home::new().run("https://does-not-exist.invalid", &ASK);
    ran.failed(7, &["the name does-not-exist.invalid cannot be resolved (DNS)"]);
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let stub = TlsStub::start();
    Home::new().run(&stub.url, &ASK).failed(7, &["no trusted TLS connection", "AWS_CA_BUNDLE"]);
}

#[test]
fn a_certificate_of_the_bundle_is_trusted() {
    let (home, stub) = (Home::new(), TlsStub::start());
    let bundle = home.write("bundle.pem", &stub.certificate);
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    command.env("AWS_CA_BUNDLE", bundle);
    Ran::of(command).vended();
}

#[test]
fn a_bundle_that_is_no_bundle() {
    let home = Home::new();
    let bundle = home.write("bundle.pem", "not PEM");
    let mut command = home.command(&["credentials", "development", "--url", "https://localhost:1"]);
    command.env("AWS_CA_BUNDLE", bundle);
    Ran::of(command).failed(3, &["AWS_CA_BUNDLE", "no PEM certificate"]);
}

#[test]
fn an_end_point_that_does_not_speak_tls() {
    let stub = Stub::vending();
    let url = stub.url.replace("http:", "https:");
    Home::new().run(&url, &ASK).failed(7, &["no trusted TLS connection"]);
}

#[test]
fn an_end_point_that_says_nothing() {
    let (url, _listener) = silent();
    let started = started();
    let ran = Home::new().run(&url, &["credentials", "development", "--timeout", "1"]);
    ran.failed(7, &["did not reply in time"]);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_refused_client_token() {
    let (ran, requests) =
        answered(Answer::error(401, "CLIENT_TOKEN_INVALID", "A client token is required."));
    ran.failed(
        5,
        &[
            "refused (CLIENT_TOKEN_INVALID): A client token is required; request id req-1",
            "client_token_file",
        ],
    );
    assert_eq!(requests, 1);
}

#[test]
fn a_refusal_is_reported_with_its_reason_and_not_retried() {
    let (ran, requests) = answered(Answer::error(403, "DEVICE_REQUIRED", "A device is required."));
    ran.failed(
        5,
        &[
            "sentinel: refused (DEVICE_REQUIRED): A device is required; request id req-1; next: ",
            "--device auto",
        ],
    );
    assert_eq!(requests, 1, "a refusal is never retried");
}

/// THREAT: a message from the network controls the terminal of who reads it.
/// PREVENTION: control characters of the message are not printed.
#[test]
fn security_a_message_cannot_control_the_terminal() {
    let (ran, _) =
        answered(Answer::error(403, "POLICY_DENY", r"\u001b]0;owned\u0007\nsentinel: all is well"));
    let shown = ran.failed(5, &["]0;owned sentinel: all is well"]);
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'));
}

#[test]
fn a_refusal_of_aws_itself() {
    let (ran, _) = answered(
        Answer::new(403, r#"{"Message":"Forbidden"}"#).header("x-amzn-RequestId", "aws-1"),
    );
    ran.failed(5, &["AWS refused before", "Forbidden; request id aws-1", "sentinel whoami"]);
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    let answer = Answer::new(403, r#"{"Message":"Forbidden"}"#)
        .header("Date", "Wed, 04 Mar 2026 10:10:00 GMT");
    answered(answer).0.failed(5, &["set the clock of this machine"]);
}

#[test]
fn an_ambient_session_that_aws_calls_expired() {
    let message = r#"{"message":"The security token included in the request is expired"}"#;
    answered(Answer::new(403, message)).0.failed(4, &["is expired", "aws sso login"]);
}

#[test]
fn over_the_quota_for_longer_than_the_deadline() {
    let answer =
        Answer::error(429, "RATE_LIMITED", "Too many requests.").header("Retry-After", "60");
    let started = started();
    let (ran, requests) = answered(answer);
    ran.failed(6, &["RATE_LIMITED", "until 20", "try again in 60 seconds"]);
    assert_eq!(requests, 1);
    assert!(started.elapsed() < Duration::from_secs(2), "it does not wait in vain");
}

#[test]
fn over_the_quota_for_a_moment() {
    let stub = Stub::start(|number, _| match number {
        1 => Answer::error(429, "RATE_LIMITED", "Too many requests.").header("Retry-After", "1"),
        _ => Answer::credentials(number, 3600),
    });
    let started = started();
    Home::new().run(&stub.url, &ASK).vended();
    assert!(started.elapsed() >= Duration::from_secs(1), "it waits what Retry-After says");
    assert_eq!(stub.requests().len(), 2);
}

#[test]
fn a_503_is_retried() {
    let stub = Stub::start(|number, _| match number {
        1 | 2 => Answer::error(503, "SERVICE_UNAVAILABLE", "Try again."),
        _ => Answer::credentials(number, 3600),
    });
    Home::new().run(&stub.url, &ASK).vended();
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn a_503_that_stays() {
    let stub = Stub::start(|_, _| Answer::error(503, "RATE_LIMITER_UNAVAILABLE", "Try again."));
    Home::new()
        .run(&stub.url, &ASK)
        .failed(7, &["failed (RATE_LIMITER_UNAVAILABLE): Try again; request id req-1"]);
    assert_eq!(stub.requests().len(), 5);
}

#[test]
fn failures_of_the_function() {
    for (status, code) in [(502, "CREDENTIAL_ERROR"), (500, "INTERNAL_ERROR")] {
        let (ran, requests) = answered(Answer::error(status, code, "It failed."));
        ran.failed(7, &[code, "give the request id to an operator"]);
        assert_eq!(requests, 1);
    }
}

#[test]
fn garbage() {
    for body in ["<html>hello</html>", "", "{}", "[1]", r#"{"Version":2}"#, "null"] {
        let (ran, _) = answered(Answer::new(200, body));
        ran.failed(7, &["is not one of sentinel-tvm", "check the URL"]);
    }
    answered(Answer::new(404, "<html>")).0.failed(7, &["(HTTP 404) is not one of sentinel-tvm"]);
    answered(Answer::new(200, "x".repeat(300 * 1024))).0.failed(7, &["cut short"]);
}

#[test]
fn an_answer_that_is_cut_short() {
    let (ran, requests) = answered(Answer::credentials(1, 3600).cut_after(60));
    ran.failed(7, &["was cut short"]);
    assert_eq!(requests, 3, "it is asked for again");
}

#[test]
fn credentials_that_have_already_expired() {
    answered(Answer::credentials(1, -5)).0.failed(7, &["sent credentials that expired", "clock"]);
}

#[test]
fn no_ambient_credentials() {
    let home = Home::new();
    for metadata in ["true", "false"] {
        let mut command =
            home.command(&["credentials", "development", "--url", &Stub::vending().url]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_EC2_METADATA_DISABLED", metadata);
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", closed_port());
        Ran::of(command).failed(
            4,
            &["the AWS credentials of the default chain were not found", "aws sso login"],
        );
    }
}

#[test]
fn an_expired_ambient_session() {
    let home = Home::new();
    home.write(
        ".aws/config",
        "[profile corp]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Developer\n\
         [sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://example.awsapps.com/start\n\
         [profile old]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIAOLD\",\"SecretAccessKey\":\"signing-secret-key\",\"SessionToken\":\"signing-session-token\",\"Expiration\":\"2020-01-01T00:00:00Z\"}'\n\
         [profile loud]\ncredential_process = echo signing-secret-key >&2; exit 1\n\
         [profile back]\ncredential_process = /usr/bin/sentinel credentials development\n",
    );
    // The file name is the SHA-1 of the session's name, as AWS's tools store it.
    home.write(
        ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json",
        r#"{"accessToken":"signing-session-token","expiresAt":"2020-01-01T00:00:00Z","region":"eu-central-1","startUrl":"https://example.awsapps.com/start"}"#,
    );
    let ask = |profile: &str| {
        home.run(&Stub::vending().url, &["credentials", "development", "--aws-profile", profile])
    };
    ask("corp").failed(4, &["the profile `corp` have expired", "aws sso login --profile corp"]);
    ask("old").failed(4, &["the profile `old` have expired"]);
    ask("loud").failed(4, &["the profile `loud` could not be read", "aws sts get-caller-identity"]);
    ask("back").failed(4, &["come from sentinel itself", "aws_profile"]);
    ask("absent").failed(4, &["the profile `absent`"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_standard_output_that_is_full() {
    let (home, stub) = (Home::new(), Stub::vending());
    let mut command = home.command(&["credentials", "development", "--url", &stub.url]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    Ran::from(child.wait_with_output().unwrap()).failed(8, &["standard output cannot be written"]);
}

#[test]
fn settings_that_are_wrong() {
    let home = Home::new();
    Ran::of(home.command(&ASK)).failed(3, &["no end point is set", "sentinel configure"]);
    home.write(
        ".config/sentinel/config.toml",
        "[endpoints.a]\nurl = 'https://a.example'\nurll = 1\n",
    );
    Ran::of(home.command(&ASK)).failed(3, &["config.toml, line 3: unknown field `urll`"]);
    home.run("http://example.com", &ASK).failed(3, &["is not encrypted"]);
    home.run("https://example.com", &["credentials", "../etc"]).failed(2, &["the profile is not"]);
}

#[expect(clippy::disallowed_methods, reason = "tests measure how long the program waits")]
pub(super) fn started() -> Instant {
    Instant::now()
}
