//! Hands a secret URL to the browser.
//!
//! Other users of the machine can read command lines, and a browser keeps its own for as long as it runs. So the browser is
//! started with a URL of this machine, which redirects to the secret one.
//!
//! Invariant: the redirect is made once, for a request that names this server and the random path. If somebody else was
//! faster, the browser shows an error, and the user notices.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Child;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::Failure;
use crate::server::random_token;
use secrecy::ExposeSecret as _;

const PAUSE: Duration = Duration::from_millis(20);
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const MOST_HEAD_BYTES: u64 = 16 * 1024;

/// Starts a browser with a URL that leads to `url` once. Returns when the browser has it.
pub(super) fn hand_over(
    url: &str,
    deadline: Deadline,
    start: impl FnOnce(&str) -> io::Result<Child>,
) -> Result<(), Failure> {
    let local = |error: io::Error| {
        Failure::local(format!("cannot listen on 127.0.0.1: {error}"), "use --print")
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(local)?;
    listener.set_nonblocking(true).map_err(local)?;
    let host = listener.local_addr().map_err(local)?.to_string();
    let path = format!("/{}", random_token()?.expose_secret());
    let mut browser = start(&format!("http://{host}{path}")).map_err(|_| not_opened())?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                // A connection that breaks off, or asks for something else, is not the browser's.
                if answer(&stream, &host, &path, url).unwrap_or(false) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(local(error)),
        }
        let failed = browser.try_wait().is_ok_and(|ended| ended.is_some_and(|it| !it.success()));
        if failed || deadline.left().is_zero() {
            return Err(not_opened());
        }
    }
}

/// Answers one request. Returns whether it got the redirect.
fn answer(mut stream: &TcpStream, host: &str, path: &str, url: &str) -> io::Result<bool> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let right = asks_for(stream, host, path)?;
    let (status, location) = if right {
        ("303 See Other", format!("Location: {url}\r\n"))
    } else {
        ("404 Not Found", String::new())
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{location}Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    Ok(right)
}

/// Whether a request is a `GET` of the path at this host.
fn asks_for(stream: &TcpStream, host: &str, path: &str) -> io::Result<bool> {
    let mut lines = BufReader::new(stream.take(MOST_HEAD_BYTES)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut hosts = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("host")
        {
            hosts.push(value.trim().to_owned());
        }
    }
    Ok(first == format!("GET {path} HTTP/1.1") && hosts == [host])
}

fn not_opened() -> Failure {
    Failure::local(
        "no browser was opened",
        "use --print, and open the URL that it prints: whoever has it is signed in",
    )
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::sync::mpsc::channel;

    const SECRET: &str = "https://signin.example/federation?SigninToken=secret";

    /// What the server replies to each request, where `PATH` is the path that the browser was given.
    fn replies(requests: &'static [&'static str]) -> (Result<(), Failure>, Vec<String>) {
        let (send, receive) = channel();
        let deadline = Deadline::after(Duration::from_secs(5));
        let handed = hand_over(SECRET, deadline, |url| {
            let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
            let (host, path) = (host.to_owned(), format!("/{path}"));
            assert!(!url.contains("secret") && path.len() > 32);
            std::thread::spawn(move || {
                for request in requests {
                    let request = request.replace("PATH", &path).replace("HOST", &host);
                    let mut stream = TcpStream::connect(&host).unwrap();
                    stream.write_all(format!("{request}\r\n\r\n").as_bytes()).unwrap();
                    let mut reply = String::new();
                    stream.read_to_string(&mut reply).unwrap();
                    send.send(reply).unwrap();
                }
            });
            Command::new("true").spawn()
        });
        (handed, receive.iter().collect())
    }

    #[test]
    fn the_browser_is_led_to_the_url() {
        let (handed, replies) = replies(&["GET PATH HTTP/1.1\r\nAccept: */*\r\nHost: HOST"]);
        assert_eq!(handed, Ok(()));
        assert!(replies[0].starts_with("HTTP/1.1 303 See Other\r\n"), "{replies:?}");
        assert!(replies[0].contains(&format!("\r\nLocation: {SECRET}\r\n")));
        assert!(replies[0].contains("\r\nReferrer-Policy: no-referrer\r\n"));
    }

    /// THREAT: another user or a web page asks the server for the sign-in URL.
    /// PREVENTION: it redirects only for its own Host and a path that nobody can guess.
    #[test]
    fn security_only_the_random_path_leads_to_the_url() {
        let (handed, replies) = replies(&[
            "GET / HTTP/1.1\r\nHost: HOST",
            "GET PATH HTTP/1.1\r\nHost: evil.example",
            "GET PATH HTTP/1.1\r\nHost: HOST\r\nHost: evil.example",
            "POST PATH HTTP/1.1\r\nHost: HOST",
            "GET PATH HTTP/1.1\r\nHost: HOST",
        ]);
        assert_eq!(handed, Ok(()));
        for reply in &replies[..4] {
            assert!(reply.starts_with("HTTP/1.1 404 ") && !reply.contains("secret"), "{reply}");
        }
        assert!(replies[4].contains(SECRET));
    }

    #[test]
    fn a_browser_that_does_not_start_is_reported() {
        let long = Deadline::after(Duration::from_mins(1));
        let absent = hand_over(SECRET, long, |_| Command::new("/nowhere").spawn()).unwrap_err();
        let failing = hand_over(SECRET, long, |_| Command::new("false").spawn()).unwrap_err();
        let short = Deadline::after(Duration::from_millis(50));
        let silent = hand_over(SECRET, short, |_| Command::new("true").spawn()).unwrap_err();
        for failure in [absent, failing, silent] {
            assert!(failure.what.contains("no browser") && failure.next.contains("--print"));
        }
    }
}
