//! DynamoDB on loopback: an embedded emulator, behind a front that records every request and can
//! fail on purpose.

use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

pub(crate) const TABLE: &str = "limits";

/// What the front does with requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Front {
    Pass,
    /// Answers with this status and body, without the emulator.
    Answer(u16, String),
    /// Never answers.
    Hang,
    /// Throttles this one key, and passes the others.
    Throttle(String),
}

/// An emulator with one empty table.
pub(crate) struct Dynamo {
    database: Database,
    behind: String,
    uri: String,
    state: Arc<Mutex<State>>,
    /// The front's listener and connections; aborted when this is replaced or dropped.
    front: JoinSet<()>,
}

struct State {
    front: Front,
    requests: Vec<(String, Value)>,
}

impl Dynamo {
    pub(crate) async fn start() -> Self {
        let database = Database::memory().unwrap();
        database.create_table(serde_json::from_value(schema()).unwrap()).unwrap();
        let emulator = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = format!("http://{}", emulator.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(emulator, database.clone()));
        let state = Arc::new(Mutex::new(State { front: Front::Pass, requests: Vec::new() }));
        let mut dynamo = Self {
            database,
            behind,
            uri: "http://127.0.0.1:0".to_owned(),
            state,
            front: JoinSet::new(),
        };
        dynamo.restart().await;
        dynamo
    }

    /// Takes the front away: connections break off, and new ones are refused.
    pub(crate) fn stop(&mut self) {
        self.front = JoinSet::new();
    }

    /// Puts the front back where it was.
    pub(crate) async fn restart(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.uri.strip_prefix("http://").unwrap().parse().unwrap()).unwrap();
        let listener = socket.listen(128).unwrap();
        self.uri = format!("http://{}", listener.local_addr().unwrap());
        self.front.spawn(serve(listener, self.behind.clone(), Arc::clone(&self.state)));
        tokio::task::yield_now().await;
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn set(&self, front: Front) {
        self.state.lock().unwrap().front = front;
    }

    /// Answers every request with an error of DynamoDB's.
    pub(crate) fn fail(&self, status: u16, code: &str) {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "CANARY arn:aws:dynamodb" });
        self.set(Front::Answer(status, body.to_string()));
    }

    /// The operations and bodies since the last call.
    pub(crate) fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The item of a key, with plain values.
    pub(crate) fn item(&self, key: &str) -> Option<Value> {
        let request = json!({ "TableName": TABLE, "Key": { "PK": { "S": key } } });
        let answer = self.database.get_item(serde_json::from_value(request).unwrap()).unwrap();
        serde_json::to_value(answer).unwrap().get("Item").cloned()
    }

    /// Changes attributes of a key's item from outside the function, as an operator does.
    pub(crate) fn update(&self, key: &str, expression: &str, values: Option<Value>) {
        let mut request = json!({ "TableName": TABLE, "Key": { "PK": { "S": key } }, "UpdateExpression": expression });
        if let Some(values) = values {
            request["ExpressionAttributeValues"] = values;
        }
        self.database.update_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Blocks a key until `until`, in microseconds.
    pub(crate) fn block(&self, key: &str, until: u64) {
        self.block_by(key, &json!({ "N": until.to_string() }));
    }

    /// Blocks a key with any value in `Blocked`.
    pub(crate) fn block_by(&self, key: &str, value: &Value) {
        self.update(key, "SET Blocked = :until", Some(json!({ ":until": value })));
    }

    /// Takes a block off.
    pub(crate) fn unblock(&self, key: &str) {
        self.update(key, "REMOVE Blocked", None);
    }

    /// The TAT of a key, in microseconds.
    pub(crate) fn tat(&self, key: &str) -> u64 {
        self.item(key).map_or(0, |item| item["TAT"]["N"].as_str().unwrap().parse().unwrap())
    }
}

fn schema() -> Value {
    json!({
        "TableName": TABLE,
        "KeySchema": [{ "AttributeName": "PK", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "PK", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    })
}

async fn serve(listener: TcpListener, behind: String, state: Arc<Mutex<State>>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (behind, state, client) = (behind.clone(), Arc::clone(&state), client.clone());
        let service = service_fn(move |request| {
            forward(request, behind.clone(), Arc::clone(&state), client.clone())
        });
        connections.spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn forward(
    request: Request<Incoming>,
    behind: String,
    state: Arc<Mutex<State>>,
    client: Client<HttpConnector, Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    let operation =
        head.headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let front = {
        let mut state = state.lock().unwrap();
        state.requests.push((operation, sent.clone()));
        state.front.clone()
    };
    match front {
        Front::Answer(status, body) => Ok(answer(status, body)),
        Front::Hang => std::future::pending().await,
        Front::Throttle(key) if sent["Key"]["PK"]["S"] == key => {
            Ok(answer(400, r#"{"__type":"x#ThrottlingException","message":"CANARY"}"#.to_owned()))
        }
        Front::Pass | Front::Throttle(_) => {
            head.uri = behind.parse().unwrap();
            let passed = client.request(Request::from_parts(head, Full::new(body))).await.unwrap();
            let (head, body) = passed.into_parts();
            Ok(Response::from_parts(head, Full::new(body.collect().await.unwrap().to_bytes())))
        }
    }
}

fn answer(status: u16, body: String) -> Response<Full<Bytes>> {
    let builder =
        Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    builder.body(Full::new(Bytes::from(body))).unwrap()
}
