//! A refusal says when the approval of another person would help. It asks once.

use std::time::Duration;

use crate::faults::started;
use crate::support::{Answer, Home, Ran, Stub};

const MISSING: &str = r#"{"profile":"production","allowed":false,"reasons":["Ask."],"missing":["approval"],"obstacles":[]}"#;

/// An end point that refuses credentials with `code`, and explains with `explanation`.
fn refusing(code: &'static str, explanation: Answer) -> Stub {
    Stub::start(move |_, request| {
        if request.target.starts_with("/v1/explain?") {
            explanation.clone()
        } else {
            Answer::error(403, code, "Ask somebody.")
        }
    })
}

fn targets(stub: &Stub) -> Vec<String> {
    stub.requests().into_iter().map(|request| request.target).collect()
}

#[test]
fn the_command_that_requests_an_approval_is_named() {
    for command in [
        &["credentials", "production"][..],
        &["exec", "production", "--", "true"],
        &["serve", "production"],
        &["console", "production", "--print"],
    ] {
        let stub = refusing("POLICY_DENY", Answer::new(200, MISSING));
        Home::new().run(&stub.url, command).failed(
            5,
            &["refused (POLICY_DENY): Ask somebody; request id req-1; next: run `sentinel request production --reason TEXT`: \
               another person has to approve\n"],
        );
        let expected = ["/v1/credentials?profile=production", "/v1/explain?profile=production"];
        assert_eq!(targets(&stub), expected, "{command:?}");
    }
}

#[test]
fn the_explanation_is_of_the_same_request() {
    let both = MISSING.replace(r#"["approval"]"#, r#"["approval","device"]"#);
    let stub = refusing("POLICY_DENY", Answer::new(200, both));
    let arguments =
        ["credentials", "production", "--duration", "1800", "--scope", "ro", "--ticket", "OPS-1"];
    Home::new().run(&stub.url, &arguments).failed(
        5,
        &[
            "`sentinel request production --reason TEXT --duration 1800`",
            "`sentinel explain` shows what else",
        ],
    );
    let query = "profile=production&duration=1800&scope=ro&ticket=OPS-1";
    assert_eq!(
        targets(&stub),
        [format!("/v1/credentials?{query}"), format!("/v1/explain?{query}")]
    );
}

#[test]
fn a_refusal_that_no_approval_mends_stays_as_it_is() {
    let nothing = MISSING.replace(r#"["approval"]"#, "[]");
    for explanation in [
        Answer::new(200, nothing),
        Answer::new(200, MISSING.replace("approval", "device")),
        Answer::new(200, MISSING).cut_after(30),
        Answer::new(200, "<html>"),
        Answer::error(429, "RATE_LIMITED", "Too many requests.").header("Retry-After", "1"),
        Answer::error(503, "SERVICE_UNAVAILABLE", "Try again."),
        Answer::new(500, MISSING),
    ] {
        let stub = refusing("POLICY_DENY", explanation);
        Home::new()
            .run(&stub.url, &["credentials", "production"])
            .failed(5, &["refused (POLICY_DENY): Ask somebody", "next: run `sentinel explain`"]);
        assert_eq!(stub.requests().len(), 2, "it is asked once, and not again");
    }
}

#[test]
fn no_other_refusal_is_explained() {
    for code in ["CALLER_BLOCKED", "DEVICE_REQUIRED", "INVALID_REQUEST", "PERSON_REQUIRED"] {
        let stub = refusing(code, Answer::new(200, MISSING));
        Home::new().run(&stub.url, &["credentials", "production"]).failed(5, &[code]);
        assert_eq!(targets(&stub), ["/v1/credentials?profile=production"], "{code}");
    }
    let stub = Stub::start(|_, _| Answer::new(403, r#"{"Message":"Forbidden"}"#));
    Home::new().run(&stub.url, &["credentials", "production"]).failed(5, &["AWS refused before"]);
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn an_explanation_that_does_not_come_keeps_nobody_waiting() {
    let late = Answer::new(200, MISSING).delayed(Duration::from_mins(1));
    let stub = refusing("POLICY_DENY", late);
    let home = Home::new();
    let mut command = home.command(&["credentials", "production", "--timeout", "1"]);
    command.args(["--url", &stub.url]);
    let started = started();
    Ran::of(command).failed(5, &["refused (POLICY_DENY)", "next: run `sentinel explain`"]);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn those_who_waited_for_the_same_answer_read_the_same_advice() {
    let home = Home::new();
    let stub = Stub::start(|_, request| {
        if request.target.starts_with("/v1/explain?") {
            Answer::new(200, MISSING)
        } else {
            Answer::error(403, "POLICY_DENY", "Ask somebody.").delayed(Duration::from_millis(1500))
        }
    });
    let children: Vec<_> = (0..8)
        .map(|_| {
            let mut command = home.command(&["credentials", "production", "--url", &stub.url]);
            let (output, errors) = (std::process::Stdio::piped(), std::process::Stdio::piped());
            command.stdout(output).stderr(errors).spawn().unwrap()
        })
        .collect();
    for child in children {
        Ran::from(child.wait_with_output().unwrap()).failed(5, &["sentinel request production"]);
    }
    assert_eq!(stub.requests().len(), 2);
}
