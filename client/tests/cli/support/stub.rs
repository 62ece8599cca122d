use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{VENDED_KEY, VENDED_TOKEN, now, rfc3339};

/// A request that the stub received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What the stub sends back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// How much of the body is sent before the connection closes.
    sent: Option<usize>,
    delay: Duration,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        let delay = Duration::ZERO;
        Self { status, headers: Vec::new(), body: body.into(), sent: None, delay }
    }

    /// Credentials that live for `seconds`; `number` makes them distinct.
    pub(crate) fn credentials(number: usize, seconds: i64) -> Self {
        let expiration = rfc3339(now() + seconds);
        Self::new(
            200,
            format!(
                r#"{{"Version":1,"AccessKeyId":"ASIA{number}","SecretAccessKey":"{VENDED_KEY}","SessionToken":"{VENDED_TOKEN}","Token":"{VENDED_TOKEN}","Expiration":"{expiration}","AccountId":"123456789012"}}"#
            ),
        )
    }

    /// An error of the function.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(r#"{{"Code":"{code}","Message":"{message}","RequestId":"req-1"}}"#),
        )
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.sent = Some(bytes);
        self
    }

    pub(crate) fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> std::io::Result<()> {
        std::thread::sleep(self.delay);
        let mut text = format!(
            "HTTP/1.1 {} Status\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&self.body[..self.sent.unwrap_or(self.body.len())]);
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }
}

type Answers = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// An end point on this machine. `GET /v1/health` says nothing of caller proofs unless `answers` does.
pub(crate) struct Stub {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Stub {
    /// A stub whose answer to the nth request for credentials, from 1, is `answers(n, request)`.
    pub(crate) fn start(
        answers: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start_with_health(Answer::new(200, r#"{"status":"ok"}"#), answers)
    }

    pub(crate) fn start_with_health(
        health: Answer,
        answers: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers): (_, Arc<Answers>) = (Arc::clone(&received), Arc::new(answers));
        let (count, health) = (Arc::new(AtomicUsize::new(0)), Arc::new(health));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
                let (count, health) = (Arc::clone(&count), Arc::clone(&health));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&mut stream) else { return };
                    seen.lock().unwrap().push(request.clone());
                    let answer = if request.target == "/v1/health" {
                        (*health).clone()
                    } else {
                        answers(count.fetch_add(1, Ordering::SeqCst) + 1, &request)
                    };
                    let _ = answer.write(&mut stream);
                });
            }
        });
        Self { url, received }
    }

    /// A stub that vends new credentials for an hour to each request.
    pub(crate) fn vending() -> Self {
        Self::start(|number, _| Answer::credentials(number, 3600))
    }

    /// All requests, but those for the health.
    pub(crate) fn requests(&self) -> Vec<Received> {
        let all = self.received.lock().unwrap();
        all.iter().filter(|request| request.target != "/v1/health").cloned().collect()
    }

    /// The requests for the health.
    pub(crate) fn health_requests(&self) -> usize {
        let all = self.received.lock().unwrap();
        all.iter().filter(|request| request.target == "/v1/health").count()
    }
}

/// Reads a request.
pub(super) fn read(stream: &mut impl Read) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines();
    let target = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { target, headers, body: String::from_utf8(body).ok()? })
}

/// A port on which nothing listens.
pub(crate) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A server that accepts and says nothing.
pub(crate) fn silent() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}
