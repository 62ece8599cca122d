//! Hands a secret URL to the browser.
//!
//! Other users of the machine can read command lines, and a browser keeps its own for as long as it runs. So the browser is
//! started with a URL of this machine, which redirects to the secret one.
//!
//! Invariant: the redirect is made once, for a request that names this server and the random path. Other users can read that
//! path, too. So on Linux the connection must be one of this user, on macOS the path is in no command line, and Windows shows
//! command lines to their user only. If somebody was faster all the same, the browser shows an error, and the user notices.

mod peer;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Child;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::Failure;
use crate::server::random_token;
use secrecy::ExposeSecret as _;

const PAUSE: Duration = Duration::from_millis(20);
/// The time for one request, however slowly it comes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// Starts a browser with a URL that leads to `url` once. Returns when the browser has it.
pub(super) fn hand_over(
    url: &str,
    deadline: Deadline,
    start: impl FnOnce(&str) -> io::Result<Child>,
) -> Result<(), Failure> {
    hand_over_to(peer::is_of_this_user, url, deadline, start)
}

/// As `hand_over`; drops connections that are not `ours`.
fn hand_over_to(
    ours: impl Fn(&TcpStream) -> bool,
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
                if ours(&stream) && answer(&stream, &host, &path, url, deadline).unwrap_or(false) {
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
fn answer(
    mut stream: &TcpStream,
    host: &str,
    path: &str,
    url: &str,
    deadline: Deadline,
) -> io::Result<bool> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    let until = Deadline::after(REQUEST_TIMEOUT.min(deadline.left()));
    let right = asks_for(&head(stream, until)?, host, path);
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

/// The head of a request: everything before the empty line.
fn head(mut stream: &TcpStream, until: Deadline) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.left();
        if left.is_zero() || head.len() > MOST_HEAD_BYTES {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    String::from_utf8(head).map_err(|_| ErrorKind::InvalidData.into())
}

/// Whether a request is a `GET` of the path at this host.
fn asks_for(head: &str, host: &str, path: &str) -> bool {
    let mut lines = head.split("\r\n").take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let hosts: Vec<&str> = lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.trim())
        .collect();
    first == format!("GET {path} HTTP/1.1") && hosts == [host]
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
        replies_to(peer::is_of_this_user, requests)
    }

    fn replies_to(
        ours: impl Fn(&TcpStream) -> bool,
        requests: &'static [&'static str],
    ) -> (Result<(), Failure>, Vec<String>) {
        let (send, receive) = channel();
        let deadline = Deadline::after(Duration::from_secs(5));
        let handed = hand_over_to(ours, SECRET, deadline, |url| {
            let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
            let (host, path) = (host.to_owned(), format!("/{path}"));
            assert!(!url.contains("secret") && path.len() > 32);
            std::thread::spawn(move || {
                for request in requests {
                    let request = request.replace("PATH", &path).replace("HOST", &host);
                    let mut stream = TcpStream::connect(&host).unwrap();
                    // A connection that is dropped breaks off in the write or in the read.
                    let mut reply = String::new();
                    let _ = stream.write_all(format!("{request}\r\n\r\n").as_bytes());
                    let _ = stream.read_to_string(&mut reply);
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

    /// THREAT: another user reads the path in the command line of the browser's starter, and asks before the browser does.
    /// PREVENTION: a connection of another user is dropped unread, and the redirect is still there for the browser.
    #[test]
    fn security_a_connection_of_another_user_gets_nothing() {
        const GET: &str = "GET PATH HTTP/1.1\r\nHost: HOST";
        let asked = std::cell::Cell::new(0);
        let second = |_: &TcpStream| asked.replace(asked.get() + 1) > 0;
        let (handed, replies) = replies_to(second, &[GET, GET]);
        assert_eq!(handed, Ok(()));
        assert_eq!(replies[0], "");
        assert!(replies[1].contains(SECRET));
    }

    /// THREAT: a connection that sends one byte at a time holds the server for longer than the browser waits.
    /// PREVENTION: there is one time for the whole request, and it ends with the deadline.
    #[test]
    fn security_a_slow_request_ends_with_the_deadline() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut slow = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let dripping = std::thread::spawn(move || while slow.write_all(b"x").is_ok() {});
        let deadline = Deadline::after(Duration::from_millis(100));
        assert!(answer(&stream, "host", "/path", SECRET, deadline).is_err());
        drop(stream);
        dripping.join().unwrap();
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
