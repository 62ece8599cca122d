//! A Lambda service for one process: a Runtime API that hands out events and takes replies.
//! Source: the Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use crate::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A program under valgrind takes a minute to start.
const PATIENCE: Duration = Duration::from_mins(4);

/// A running program. It is killed when this is dropped.
pub(crate) struct Instance {
    child: Child,
    api: Arc<Api>,
    polls: UnboundedReceiver<Instant>,
    replies: UnboundedReceiver<Answered>,
    started: Instant,
    log: PathBuf,
}

/// What the program's connections share.
struct Api {
    events: UnboundedSender<(u64, Bytes)>,
    queue: tokio::sync::Mutex<UnboundedReceiver<(u64, Bytes)>>,
    handed_out: Mutex<HashMap<u64, Instant>>,
    polls: UnboundedSender<Instant>,
    replies: UnboundedSender<Answered>,
}

struct Answered {
    at: Instant,
    took: Duration,
    path: String,
    body: Bytes,
}

/// A reply of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) since_start: Duration,
    /// Since the event was handed out.
    pub(crate) took: Duration,
    /// Its HTTP status.
    pub(crate) status: u64,
}

/// Processor time and memory of a running program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_kib: u64,
}

impl Instance {
    /// Starts `program` with `variables` besides Lambda's own and nothing else in its environment. What it writes goes to `log`.
    pub(crate) async fn start(
        program: &[String],
        variables: &[(String, String)],
        directory: &Path,
        log: &Path,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (events, queue) = unbounded_channel();
        let (polled, polls) = unbounded_channel();
        let (answered, replies) = unbounded_channel();
        let api = Arc::new(Api {
            events,
            queue: queue.into(),
            handed_out: Mutex::default(),
            polls: polled,
            replies: answered,
        });
        tokio::spawn(accept(listener, Arc::clone(&api)));
        let (executable, arguments) = program.split_first().ok_or("no program")?;
        let output = File::create(log)?;
        let mut command = Command::new(executable);
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .envs(lambda_variables(&address))
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn().map_err(|error| format!("{executable}: {error}"))?;
        Ok(Self { child, api, polls, replies, started, log: log.to_owned() })
    }

    /// Waits for the first poll. Gives the time since the start.
    pub(crate) async fn first_poll(&mut self) -> Result<Duration> {
        let (started, log) = (self.started, self.log.clone());
        tokio::select! {
            Some(at) = self.polls.recv() => Ok(at - started),
            status = self.child.wait() => Err(format!("the program ended: {status:?}; see {}", log.display()).into()),
            () = tokio::time::sleep(PATIENCE) => Err(format!("no poll; see {}", log.display()).into()),
        }
    }

    /// Queues an event.
    pub(crate) fn send(&self, number: u64, event: String) -> Result<()> {
        Ok(self.api.events.send((number, event.into()))?)
    }

    /// Waits for a reply.
    pub(crate) async fn reply(&mut self) -> Result<Reply> {
        let (started, log) = (self.started, self.log.clone());
        let answered = tokio::select! {
            Some(answered) = self.replies.recv() => answered,
            status = self.child.wait() => return Err(format!("the program ended: {status:?}; see {}", log.display()).into()),
            () = tokio::time::sleep(PATIENCE) => return Err(format!("no reply; see {}", log.display()).into()),
        };
        let body: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        let status = body["statusCode"].as_u64().filter(|_| answered.path.ends_with("/response"));
        let Some(status) = status else {
            let text = String::from_utf8_lossy(&answered.body);
            return Err(format!("{}: {text}; see {}", answered.path, log.display()).into());
        };
        Ok(Reply { since_start: answered.at - started, took: answered.took, status })
    }

    /// Waits for a reply that must be a success.
    pub(crate) async fn success(&mut self) -> Result<Reply> {
        match self.reply().await? {
            reply if reply.status == 200 => Ok(reply),
            reply => Err(format!("status {}; see {}", reply.status, self.log.display()).into()),
        }
    }

    /// Sends `count` events, never more than `in_flight` at once. Gives the replies, which must be successes.
    pub(crate) async fn drive(
        &mut self,
        count: u64,
        in_flight: u64,
        event: impl Fn(u64) -> String,
    ) -> Result<Vec<Reply>> {
        let mut replies = Vec::new();
        for number in 0..in_flight.min(count) {
            self.send(number, event(number))?;
        }
        for number in in_flight.. {
            replies.push(self.success().await?);
            if number < count {
                self.send(number, event(number))?;
            }
            if u64::try_from(replies.len())? == count {
                break;
            }
        }
        Ok(replies)
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let pid = self.child.id().ok_or("the program ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")).ok_or("no VmHWM")?;
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end meanwhile.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        }
        Ok(Usage { cpu: Duration::from_nanos(nanos), peak_kib: peak.trim().parse()? })
    }

    /// Ends the program as `kill` does, and waits for its end.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.ok_or("the program ended")?, Signal::TERM)?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
}

fn lambda_variables(api: &str) -> Vec<(String, String)> {
    [
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/03/04/[$LATEST]0a1b2c3d"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret-key-of-the-bench"),
        ("AWS_SESSION_TOKEN", "a-session-token-of-the-bench"),
        ("LANG", "C.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn accept(listener: TcpListener, api: Arc<Api>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, &api));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

/// `GET …/invocation/next`, `POST …/invocation/{id}/response`, `POST …/invocation/{id}/error`, `POST …/init/error`.
async fn answer(
    request: Request<Incoming>,
    api: &Api,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let _ = api.polls.send(Instant::now());
        return Ok(next(api).await);
    }
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let at = Instant::now();
    let number = path.split('/').nth(4).and_then(|id| u64::from_str_radix(id.get(..8)?, 16).ok());
    let since = number.and_then(|number| lock(&api.handed_out).remove(&number));
    let took = since.map_or(Duration::ZERO, |since| at - since);
    let _ = api.replies.send(Answered { at, took, path, body });
    Ok(Response::builder().status(202).body(Full::default()).unwrap_or_default())
}

async fn next(api: &Api) -> Response<Full<Bytes>> {
    let Some((number, event)) = api.queue.lock().await.recv().await else {
        return std::future::pending().await;
    };
    lock(&api.handed_out).insert(number, Instant::now());
    let response = Response::builder()
        .header("Content-Type", "application/json")
        .header(
            "Lambda-Runtime-Aws-Request-Id",
            format!("{number:08x}-4e5f-6789-abcd-ef0123456789"),
        )
        .header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        .header(
            "Lambda-Runtime-Trace-Id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        )
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:bench",
        );
    response.body(Full::new(event)).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
