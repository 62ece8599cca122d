//! The rate-limit table: an embedded DynamoDB.

use super::front::Reply;
use crate::Result;
use crate::clock::Micros;
use crate::lock;
use dynoxide::Database;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::net::TcpListener;

pub(crate) const TABLE: &str = "limits";

pub(crate) struct Table {
    database: Database,
    behind: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// How many writes succeeded, by key.
    writes: Mutex<BTreeMap<String, u64>>,
}

/// The times up to which a principal has used its budgets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tats {
    pub(crate) short: Micros,
    pub(crate) day: Micros,
}

impl Table {
    pub(super) async fn start() -> Result<Self> {
        let database = Database::memory()?;
        database.create_table(serde_json::from_value(json!({
            "TableName": TABLE,
            "KeySchema": [{ "AttributeName": "PK", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "PK", "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
        }))?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let behind = format!("http://{}", listener.local_addr()?);
        tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { database, behind, client, writes: Mutex::default() })
    }

    /// Passes a request to the emulator.
    pub(super) async fn pass(&self, mut head: Parts, body: Bytes) -> Result<Reply> {
        head.uri = self.behind.parse()?;
        let sent = body.clone();
        let reply = self.client.request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = reply.into_parts();
        let body = body.collect().await?.to_bytes();
        if head.status.is_success() {
            let sent: Value = serde_json::from_slice(&sent)?;
            let key = sent["Key"]["PK"]["S"].as_str().unwrap_or_default();
            *lock(&self.writes).entry(key.to_owned()).or_default() += 1;
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }

    /// How many writes succeeded, by key.
    pub(crate) fn writes(&self) -> BTreeMap<String, u64> {
        lock(&self.writes).clone()
    }

    /// What every item holds, by key.
    pub(crate) fn tats(&self) -> Result<BTreeMap<String, Tats>> {
        let request = serde_json::from_value(json!({ "TableName": TABLE }))?;
        let scanned = serde_json::to_value(self.database.scan(request)?)?;
        let number = |item: &Value, name: &str| item[name]["N"].as_str()?.parse().ok();
        let item = |item: &Value| {
            let key = item["PK"]["S"].as_str().unwrap_or_default().to_owned();
            let tats = Tats {
                short: number(item, "TAT").unwrap_or(0),
                day: number(item, "DayTAT").unwrap_or(0),
            };
            (key, tats)
        };
        Ok(scanned["Items"].as_array().into_iter().flatten().map(item).collect())
    }

    /// Writes an attribute from outside the function, as an operator does.
    pub(crate) fn set(&self, key: &str, attribute: &str, value: Micros) -> Result<()> {
        let request = json!({
            "TableName": TABLE,
            "Key": { "PK": { "S": key } },
            "UpdateExpression": "SET #name = :value",
            "ExpressionAttributeNames": { "#name": attribute },
            "ExpressionAttributeValues": { ":value": { "N": value.to_string() } },
        });
        self.database.update_item(serde_json::from_value(request)?)?;
        Ok(())
    }
}
