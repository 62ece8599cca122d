//! A Lambda service for one process: a Runtime API that hands out events and takes answers.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// The built program with no variable but these.
pub(super) fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-tvm"));
    command
        .env_clear()
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running instance of the function. It ends when this is dropped.
pub(super) struct Instance {
    child: Child,
    events: mpsc::UnboundedSender<(String, Bytes)>,
    waiting: Waiting,
    invoked: u32,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>;
type Events = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Bytes)>>>;

impl Instance {
    /// Starts the function with these variables besides Lambda's own.
    pub(super) async fn start(variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap().to_string();
        let (events, queue) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        tokio::spawn(serve(
            listener,
            Arc::new(tokio::sync::Mutex::new(queue)),
            Arc::clone(&waiting),
        ));
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", api.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "sentinel-tvm"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDOFTHEFUNCTION"),
            ("AWS_SECRET_ACCESS_KEY", "CANARY-own-secret-key"),
            ("AWS_SESSION_TOKEN", "CANARY-own-token"),
        ];
        let child = program(&[&lambda, variables].concat()).spawn().unwrap();
        Self { child, events, waiting, invoked: 0 }
    }

    /// Invokes the function and gives its answer.
    pub(super) async fn invoke(&mut self, event: impl Into<Value>) -> Value {
        self.invoke_with(event.into().to_string()).await
    }

    /// Invokes the function with a payload of any bytes.
    pub(super) async fn invoke_with(&mut self, payload: impl Into<Bytes>) -> Value {
        self.invoked += 1;
        let id = format!("{:08x}-4e5f-6789-abcd-ef0123456789", self.invoked);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id.clone(), answer);
        self.events.send((id, payload.into())).unwrap();
        let answered = tokio::time::timeout(std::time::Duration::from_mins(1), answered).await;
        answered.unwrap().unwrap()
    }

    /// Ends the function and gives all it wrote: standard output, standard error.
    pub(super) fn end(mut self) -> [String; 2] {
        self.child.kill().unwrap();
        let read = |stream: &mut dyn Read| {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        };
        [read(self.child.stdout.as_mut().unwrap()), read(self.child.stderr.as_mut().unwrap())]
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve(listener: TcpListener, events: Events, waiting: Waiting) {
    while let Ok((stream, _)) = listener.accept().await {
        let (events, waiting) = (Arc::clone(&events), Arc::clone(&waiting));
        let service =
            service_fn(move |request| answer(request, Arc::clone(&events), Arc::clone(&waiting)));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// `GET …/invocation/next` and `POST …/invocation/{id}/response`, as the Lambda developer guide
/// describes them.
async fn answer(
    request: Request<Incoming>,
    events: Events,
    waiting: Waiting,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let Some((id, event)) = events.lock().await.recv().await else {
            return std::future::pending().await;
        };
        let next = Response::builder()
            .header("Lambda-Runtime-Aws-Request-Id", id)
            .header("Lambda-Runtime-Deadline-Ms", "4102444800000")
            .header(
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:f",
            );
        return Ok(next.body(Full::new(event)).unwrap());
    }
    let id = request.uri().path().split('/').nth(4).unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if let Some(answer) = waiting.lock().unwrap().remove(&id) {
        let _ = answer.send(serde_json::from_slice(&body).unwrap());
    }
    Ok(Response::builder().status(202).body(Full::default()).unwrap())
}
