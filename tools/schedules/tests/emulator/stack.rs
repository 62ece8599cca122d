//! The emulator, the SDK's settings for it, and the table in this process.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::Database;
use schedules::dynamo::expression::Item;
use schedules::explorer::{Range, explore};
use schedules::network::{Network, Patience};
use sentinel_tvm::{Https, TrustedRoots};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// An emulator with one empty table, and the settings of a client for it.
pub(crate) async fn start(table: &str, index: bool) -> (Database, SdkConfig) {
    let database = Database::memory().unwrap();
    database.create_table(serde_json::from_value(schema(table, index)).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    let config = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Https::new(&TrustedRoots::CompiledIn).unwrap().for_aws())
        .region(Region::new("eu-central-1"))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
            Credentials::new("AKIDOFTHEFUNCTION", "not-a-secret", None, None, "test"),
        ))
        .endpoint_url(endpoint)
        .build();
    (database, config)
}

fn schema(table: &str, index: bool) -> Value {
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attribute =
        |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let mut schema = json!({
        "TableName": table,
        "KeySchema": [key("PK", "HASH")],
        "AttributeDefinitions": [attribute("PK", "S")],
        "BillingMode": "PAY_PER_REQUEST",
    });
    if index {
        schema["AttributeDefinitions"] =
            json!([attribute("PK", "S"), attribute("Kind", "S"), attribute("CreatedAt", "N")]);
        schema["GlobalSecondaryIndexes"] = json!([{
            "IndexName": "ByTime",
            "KeySchema": [key("Kind", "HASH"), key("CreatedAt", "RANGE")],
            "Projection": { "ProjectionType": "ALL" },
        }]);
    }
    schema
}

/// The items of the emulator's table, by key.
pub(crate) fn items(database: &Database, table: &str) -> BTreeMap<String, Value> {
    let request = serde_json::from_value(json!({ "TableName": table })).unwrap();
    let answer = serde_json::to_value(database.scan(request).unwrap()).unwrap();
    let items = answer["Items"].as_array().cloned().unwrap_or_default();
    items.into_iter().map(|item| (item["PK"]["S"].as_str().unwrap().to_owned(), item)).collect()
}

/// Runs `steps` once, on a table in this process. Returns its answers, and the items by key.
pub(crate) fn in_process<F>(table: &'static str, steps: F) -> (Vec<String>, BTreeMap<String, Value>)
where
    F: Fn(&Network) -> Vec<String> + Send + Sync + 'static,
{
    let result = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&result);
    let scenario = move || {
        let network = Network::enter(schedules::dynamo::Database::new(None), 0, Patience::Client);
        let answers = steps(&network);
        let items = network.database.all(table).iter().map(plain).collect();
        *kept.lock().unwrap() = Some((answers, items));
        Ok(())
    };
    explore(&(Arc::new(scenario) as _), Range { seed: 1, schedules: 1, threads: 1 }).unwrap();
    let mut result = result.lock().unwrap();
    result.take().unwrap()
}

fn plain(item: &Item) -> (String, Value) {
    let key = item["PK"].as_s().unwrap().clone();
    (key, Value::Object(item.iter().map(|(name, value)| (name.clone(), value_of(value))).collect()))
}

fn value_of(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::M(map) => {
            json!({ "M": map.iter().map(|(name, value)| (name.clone(), value_of(value))).collect::<serde_json::Map<_, _>>() })
        }
        other => panic!("the function writes no {other:?}"),
    }
}
