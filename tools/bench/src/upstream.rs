//! The services that a vend calls, as stubs on loopback: DynamoDB, STS, Secrets Manager and a Jamf Pro.
//!
//! They answer after a delay, always with success unless a condition fails, and count calls and connections.

use crate::Result;
use crate::events::DEVICE_OWNER;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How often each operation was called, and how often each service was connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) connections: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// What has been added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let less = |now: &BTreeMap<&'static str, u64>, then: &BTreeMap<&'static str, u64>| {
            now.iter()
                .map(|(name, count)| (*name, count - then.get(name).copied().unwrap_or(0)))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Self {
            calls: less(&self.calls, &earlier.calls),
            connections: less(&self.connections, &earlier.connections),
        }
    }
}

/// The running stubs.
pub(crate) struct Upstreams {
    addresses: BTreeMap<&'static str, String>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    counts: Mutex<Counts>,
    table: Mutex<HashMap<String, Tats>>,
    delay_micros: AtomicU64,
}

/// An item's TATs, by attribute.
type Tats = BTreeMap<&'static str, u64>;

const SERVICES: [&str; 4] = ["dynamodb", "sts", "secretsmanager", "mdm"];

impl Upstreams {
    /// Starts them, with TLS if there is an acceptor.
    pub(crate) async fn start(tls: Option<&TlsAcceptor>) -> Result<Self> {
        let state = Arc::new(State::default());
        let mut addresses = BTreeMap::new();
        for service in SERVICES {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let scheme = if tls.is_some() { "https" } else { "http" };
            addresses.insert(service, format!("{scheme}://{}", listener.local_addr()?));
            tokio::spawn(accept(listener, tls.cloned(), service, Arc::clone(&state)));
        }
        Ok(Self { addresses, state })
    }

    pub(crate) fn address(&self, service: &str) -> &str {
        &self.addresses[service]
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.address("sts").starts_with("https:")
    }

    /// From now on every answer takes this long.
    pub(crate) fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.state.delay_micros.store(micros, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.state.counts).clone()
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: &'static str,
    state: Arc<State>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        *lock(&state.counts).connections.entry(service).or_default() += 1;
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            match tls {
                None => serve(stream, service, state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, service, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    service: &'static str,
    state: Arc<State>,
) {
    let answer = service_fn(|request| answer(request, service, &state));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    // A program that is ended breaks its connections off.
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    service: &'static str,
    state: &State,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let (operation, content_type, reply) = match service {
        "sts" => sts(&body),
        "mdm" => mdm(head.uri.path()),
        _ => json_service(&head.headers, &body, &state.table),
    };
    *lock(&state.counts).calls.entry(operation).or_default() += 1;
    let delay = state.delay_micros.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_micros(delay)).await;
    }
    let response = Response::builder()
        .status(if reply.contains("__type") { 400 } else { 200 })
        .header("content-type", content_type)
        .header("x-amzn-requestid", "0a1b2c3d-4e5f-6789-abcd-ef0123456789");
    Ok(response.body(Full::new(Bytes::from(reply))).unwrap_or_default())
}

const UNKNOWN: &str = "an unknown operation";

fn json_service(
    headers: &HeaderMap,
    body: &[u8],
    table: &Mutex<HashMap<String, Tats>>,
) -> (&'static str, &'static str, String) {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let (operation, reply) = match target.and_then(|target| target.rsplit('.').next()) {
        Some("UpdateItem") => ("UpdateItem", update_item(body, table)),
        Some("GetSecretValue") => ("GetSecretValue", secret()),
        _ => (UNKNOWN, failed("UnknownOperationException")),
    };
    (operation, "application/x-amz-json-1.0", reply.to_string())
}

fn failed(code: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}") })
}

/// The attributes of the short window and the day, and the prefix of their values' names.
const WINDOWS: [(&str, &str); 2] = [("TAT", ":"), ("DayTAT", ":day_")];

/// Holds the conditions that the programs use, for each attribute that they name: a TAT between two
/// bounds, or none at all or below one. All must hold.
fn update_item(body: &[u8], table: &Mutex<HashMap<String, Tats>>) -> Value {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let number = |name: &str| -> Option<u64> {
        request["ExpressionAttributeValues"][name]["N"].as_str()?.parse().ok()
    };
    let key = request["Key"]["PK"]["S"].as_str().unwrap_or_default();
    let condition = request["ConditionExpression"].as_str().unwrap_or_default();
    let now = number(":now").unwrap_or(0);
    let mut table = lock(table);
    let held = table.entry(key.to_owned()).or_default();
    let changed = WINDOWS.into_iter().filter(|(attribute, _)| names(condition, attribute)).map(
        |(attribute, prefix)| {
            let value = |name: &str| number(&format!("{prefix}{name}"));
            let tat = held.get(attribute).copied();
            let latest = value("latest").unwrap_or(now);
            let or_none = [
                "attribute_not_exists(PK) OR ".to_owned(),
                format!("(attribute_not_exists({attribute}) OR "),
            ];
            let holds = if or_none.iter().any(|or_none| condition.contains(or_none)) {
                tat.is_none_or(|tat| tat <= latest)
            } else {
                tat.is_some_and(|tat| now < tat && tat <= latest)
            };
            let next = || value("tat").unwrap_or(tat.unwrap_or(0) + value("step").unwrap_or(0));
            holds.then(|| (attribute, next()))
        },
    );
    let changed: Option<Tats> = changed.collect();
    if let Some(changed) = changed {
        held.extend(changed);
        return json!({ "Attributes": item(held) });
    }
    let mut refused = failed("ConditionalCheckFailedException");
    if !held.is_empty() {
        refused["Item"] = item(held);
    }
    refused
}

/// Whether an expression has this attribute, and not only one whose name ends so.
fn names(condition: &str, attribute: &str) -> bool {
    condition.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == attribute)
}

fn item(tats: &Tats) -> Value {
    let attributes = tats.iter().map(|(name, tat)| (*name, *tat)).chain([("TTL", 1_772_620_200)]);
    attributes.map(|(name, value)| (name.to_owned(), json!({ "N": value.to_string() }))).collect()
}

fn secret() -> Value {
    json!({
        "ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mdm-a1b2c3",
        "Name": "mdm",
        "VersionId": "0a1b2c3d-4e5f-6789-abcd-ef0123456789",
        "SecretString": "a-token-of-the-bench",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_772_620_200.5,
    })
}

fn sts(body: &[u8]) -> (&'static str, &'static str, String) {
    let holds = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
    let (operation, result) = if holds("Action=AssumeRole") {
        ("AssumeRole", credentials())
    } else if holds("Action=GetCallerIdentity") {
        (
            "GetCallerIdentity",
            "<Arn>arn:aws:sts::123456789012:assumed-role/function/function</Arn>\
            <UserId>AROACKCEVSQ6C2EXAMPLE:function</UserId><Account>123456789012</Account>"
                .to_owned(),
        )
    } else {
        (UNKNOWN, String::new())
    };
    let reply = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>0a1b2c3d</RequestId></ResponseMetadata></{operation}Response>"
    );
    (operation, "text/xml", reply)
}

/// With a session token as long as those of AWS.
fn credentials() -> String {
    let expiration = (UtcDateTime::now() + Duration::from_mins(15)).replace_nanosecond(0);
    let expiration = expiration.ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
    format!(
        "<Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROACKCEVSQ6C2EXAMPLE:alice</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/vended/alice</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize>",
        "s".repeat(40),
        "T0ken+/=".repeat(125)
    )
}

fn mdm(path: &str) -> (&'static str, &'static str, String) {
    let (operation, reply) = match path {
        "/api/v3/computers-inventory" => ("mdm inventory", inventory()),
        _ if path.starts_with("/api/v1/conditional-access/") => (
            "mdm compliance",
            json!([{ "deviceId": "7", "applicable": true, "complianceState": "COMPLIANT" }]),
        ),
        _ => (UNKNOWN, Value::Null),
    };
    (operation, "application/json", reply.to_string())
}

fn inventory() -> Value {
    let now = UtcDateTime::now().format(&Rfc3339).unwrap_or_default();
    json!({
        "totalCount": 1,
        "results": [{
            "id": "7",
            "udid": "00000000-7",
            "general": { "lastContactTime": now, "remoteManagement": { "managed": true } },
            "hardware": { "serialNumber": crate::events::DEVICE },
            "operatingSystem": { "version": "26.1" },
            "userAndLocation": { "email": DEVICE_OWNER },
        }],
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
