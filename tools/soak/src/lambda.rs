//! A Lambda service: instances of the function, each with a Runtime API of its own, and one queue of events for all.
//! Sources: the Lambda developer guide, "Using the Lambda runtime API for custom runtimes" and "Lambda Managed Instances".

use crate::clock::{self, Micros, SECOND};
use crate::exchanges::Exchanges;
use crate::lines::Lines;
use crate::{Result, lock};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How many requests an instance takes at once.
pub(crate) const CONCURRENCY: usize = 16;
/// The function's time limit.
pub(crate) const TIME_LIMIT: Micros = 10 * SECOND;
/// The longest wait for a process that is to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// One event for whichever instance is free.
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) payload: Bytes,
}

/// What all instances share.
pub(crate) struct Lambda {
    program: PathBuf,
    variables: Vec<(String, String)>,
    events: UnboundedSender<Event>,
    queue: tokio::sync::Mutex<UnboundedReceiver<Event>>,
    exchanges: Arc<Exchanges>,
    lines: Arc<Lines>,
    started: Mutex<u32>,
}

/// A running instance. Its process is killed when this is dropped.
pub(crate) struct Instance {
    /// The first is 1.
    pub(crate) number: u32,
    pub(crate) pid: Pid,
    child: Child,
    draining: watch::Sender<bool>,
    connections: JoinSet<()>,
    output: JoinSet<()>,
}

impl Lambda {
    pub(crate) fn new(
        program: PathBuf,
        variables: Vec<(String, String)>,
        exchanges: Arc<Exchanges>,
        lines: Arc<Lines>,
    ) -> Arc<Self> {
        let (events, queue) = unbounded_channel();
        let (queue, started) = (queue.into(), Mutex::default());
        Arc::new(Self { program, variables, events, queue, exchanges, lines, started })
    }

    pub(crate) fn send(&self, event: Event) -> Result<()> {
        Ok(self.events.send(event)?)
    }

    /// Starts an instance.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<Instance> {
        let number = {
            let mut started = lock(&self.started);
            *started += 1;
            *started
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let api = listener.local_addr()?.to_string();
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(lambda_variables(&api))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let mut output = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            output.spawn(read(stdout, number, Arc::clone(&self.lines), Lines::standard_output));
        }
        if let Some(stderr) = child.stderr.take() {
            output.spawn(read(stderr, number, Arc::clone(&self.lines), Lines::standard_error));
        }
        let (draining, is_draining) = watch::channel(false);
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, Arc::clone(self), number, is_draining));
        let pid = pid.ok_or("the function ended at once")?;
        Ok(Instance { number, pid, child, draining, connections, output })
    }
}

impl Instance {
    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the instance as Lambda does: no further event, then, when all are answered, SIGTERM.
    pub(crate) async fn retire(self, exchanges: &Exchanges) -> Result<()> {
        let _ = self.draining.send(true);
        let longest = clock::now() + TIME_LIMIT + SECOND;
        while exchanges.is_busy(self.number) && clock::now() < longest {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The answers have been taken; the function still reads that they were.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.end(Signal::TERM).await
    }

    /// Kills the process, whatever it does.
    pub(crate) async fn kill(self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    async fn end(mut self, signal: Signal) -> Result<()> {
        let _ = kill_process(self.pid, signal);
        tokio::time::timeout(PATIENCE, self.child.wait()).await??;
        // All that it wrote is read, and all that it sent is taken.
        while let Some(ended) = tokio::time::timeout(PATIENCE, self.output.join_next()).await? {
            ended?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.connections.abort_all();
        Ok(())
    }
}

async fn read(
    stream: impl AsyncRead + Unpin,
    instance: u32,
    lines: Arc<Lines>,
    take: fn(&Lines, u32, &str),
) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        take(&lines, instance, &String::from_utf8_lossy(&line));
        line.clear();
    }
}

async fn accept(
    listener: TcpListener,
    lambda: Arc<Lambda>,
    instance: u32,
    draining: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (lambda, draining) = (Arc::clone(&lambda), draining.clone());
        connections.spawn(async move {
            let answer = service_fn(|request| answer(request, &lambda, instance, draining.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// `GET …/invocation/next`, `POST …/invocation/{id}/response`, `POST …/invocation/{id}/error`.
async fn answer(
    request: Request<Incoming>,
    lambda: &Lambda,
    instance: u32,
    draining: watch::Receiver<bool>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(next(lambda, instance, draining).await);
    }
    let path = request.uri().path().to_owned();
    if let Ok(body) = request.into_body().collect().await {
        let mut parts = path.split('/').skip(4);
        let number = parts.next().and_then(number_of);
        let is_reply = parts.next() == Some("response");
        lambda.exchanges.answered(number, is_reply, &body.to_bytes());
    }
    Ok(Response::builder().status(202).body(Full::default()).unwrap_or_default())
}

async fn next(
    lambda: &Lambda,
    instance: u32,
    mut draining: watch::Receiver<bool>,
) -> Response<Full<Bytes>> {
    let event = async { lambda.queue.lock().await.recv().await };
    let event = tokio::select! {
        biased;
        _ = draining.wait_for(|draining| *draining) => None,
        event = event => event,
    };
    let Some(Event { number, payload }) = event else {
        return std::future::pending().await;
    };
    lambda.exchanges.handed_out(number, instance);
    let response = Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", id(number))
        .header("Lambda-Runtime-Deadline-Ms", (clock::now() + TIME_LIMIT) / 1_000)
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:soak",
        );
    response.body(Full::new(payload)).unwrap_or_default()
}

/// The id of a request.
pub(crate) fn id(number: u64) -> String {
    format!("{number:08x}-4e5f-4789-abcd-ef0123456789")
}

/// The number of the request with this id.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    let number = u64::from_str_radix(id.get(..8)?, 16).ok()?;
    (self::id(number) == id).then_some(number)
}

fn lambda_variables(api: &str) -> Vec<(String, String)> {
    let concurrency = CONCURRENCY.to_string();
    [
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_MAX_CONCURRENCY", &concurrency),
        ("AWS_LAMBDA_FUNCTION_NAME", "soak"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDOFTHEFUNCTION"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-own-secret-key"),
        ("AWS_SESSION_TOKEN", "CANARY-own-token"),
        ("RUST_LOG", "debug"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
