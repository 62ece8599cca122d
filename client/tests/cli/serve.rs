//! `sentinel serve`: the loopback end point, as a program and as an attacker reach it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::support::{Answer, Home, Ran, Stub, container, raw};

struct Serving {
    child: Child,
    url: String,
    token: String,
}

impl Serving {
    fn start(home: &Home, url: &str) -> Self {
        let mut command = home.command(&["serve", "development", "--url", url]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let mut value = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(&format!("export {name}=")).unwrap().to_owned()
        };
        let url = value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let token = value("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        Self { child, url, token }
    }

    fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().trim_end_matches('/')
    }

    fn stop(self) -> Ran {
        let process = self.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(process).status().unwrap().success());
        Ran::from(self.child.wait_with_output().unwrap())
    }
}

#[test]
fn it_serves_until_it_is_stopped() {
    let (home, stub) = (Home::new(), Stub::vending());
    let serving = Serving::start(&home, &stub.url);
    for _ in 0..3 {
        let (status, body) = container(&serving.url, &serving.token);
        assert_eq!(status, 200);
        assert!(body.contains(r#""AccessKeyId":"ASIA1""#), "{body}");
    }
    assert_eq!(stub.requests().len(), 1);
    assert_eq!(serving.stop().code, 0);
}

/// THREAT: a web page, another user, or a request that is cut into pieces gets credentials.
/// PREVENTION: the server's own Host, and its token, once each; nothing else is answered.
#[test]
fn security_nothing_but_the_right_request_is_served() {
    let (home, stub) = (Home::new(), Stub::vending());
    let serving = Serving::start(&home, &stub.url);
    let (host, token) = (serving.host(), &serving.token);
    let requests = [
        (403, format!("GET / HTTP/1.1\r\nHost: evil.example\r\nAuthorization: {token}\r\n\r\n")),
        (403, format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n")),
        (
            403,
            format!(
                "GET http://evil.example/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"
            ),
        ),
        (403, format!("GET / HTTP/1.0\r\nAuthorization: {token}\r\n\r\n")),
        (401, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        (401, format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}0\r\n\r\n")),
        (401, format!("GET /?Authorization={token} HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        (
            404,
            format!("GET /credentials HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"),
        ),
        (
            405,
            format!(
                "POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nContent-Length: 0\r\n\r\n"
            ),
        ),
        (400, "GARBAGE\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024))),
    ];
    for (expected, request) in requests {
        let (status, body) = raw(host, &request);
        assert_eq!(status, expected, "{}", &request[..request.len().min(200)]);
        assert!(!body.contains("ASIA"), "{body}");
    }
    assert_eq!(container(&serving.url, &serving.token).0, 200, "and it still serves");
    serving.stop();
}

#[test]
fn a_later_refusal_is_reported_to_the_program_and_at_the_terminal() {
    let home = Home::new();
    let stub = Stub::start(|number, _| match number {
        1 => Answer::credentials(number, 1),
        _ => Answer::error(403, "POLICY_DENY", "Not any more."),
    });
    let serving = Serving::start(&home, &stub.url);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for _ in 0..2 {
        let (status, body) = container(&serving.url, &serving.token);
        assert_eq!(status, 403);
        assert!(body.contains("POLICY_DENY") && body.contains("Not any more"), "{body}");
    }
    let stderr = serving.stop().stderr;
    assert_eq!(stderr.matches("Not any more").count(), 1, "reported once: {stderr}");
}

#[test]
fn only_this_machine_is_served() {
    let (home, stub) = (Home::new(), Stub::vending());
    home.run(&stub.url, &["serve", "development", "--listen", "0.0.0.0:0"])
        .failed(2, &["not an address of this machine"]);
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let (home, stub) = (Home::new(), Stub::vending());
    let address = stub.url.strip_prefix("http://").unwrap();
    home.run(&stub.url, &["serve", "development", "--listen", address])
        .failed(8, &[&format!("cannot listen on {address}"), "choose another port"]);
}
