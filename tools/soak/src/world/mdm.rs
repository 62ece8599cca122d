//! A Jamf Pro: each person has one managed, compliant computer. It takes OAuth client credentials.

use super::front::{Reply, json};
use super::secrets::{CANARY, Secrets, client_secret};
use crate::clock;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Mdm {
    tokens: AtomicU64,
}

/// Seconds that an access token lasts. Short, so that the function gets several in a run.
const TOKEN_SECONDS: u32 = 40;

/// The serial number of a person's computer.
pub(crate) fn serial(person: usize) -> String {
    format!("SOAK{person:06}")
}

/// The name of a person.
pub(crate) fn person(number: usize) -> String {
    format!("person-{number}@example.com")
}

pub(super) fn answer(mdm: &Mdm, secrets: &Secrets, head: &Parts, body: &[u8]) -> Reply {
    // The number of the client secret is part of each access token, so a rotation ends the old ones.
    let prefix = format!("{CANARY}-access-token-{}-", secrets.mdm());
    let path = head.uri.path();
    if path == "/api/oauth/token" {
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        if form.get("client_secret") != Some(&client_secret(secrets.mdm())) {
            return json(401, &json!({ "error": "invalid_client" }));
        }
        let token = format!("{prefix}{}", mdm.tokens.fetch_add(1, Ordering::Relaxed));
        return json(
            200,
            &json!({ "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS }),
        );
    }
    let sent = head.headers.get("authorization").and_then(|sent| sent.to_str().ok());
    if !sent.is_some_and(|sent| sent.starts_with(&format!("Bearer {prefix}"))) {
        return json(401, &Value::Null);
    }
    if path == "/api/v3/computers-inventory" {
        return json(200, &inventory(head.uri.query().unwrap_or_default()));
    }
    json(200, &json!([{ "deviceId": "1", "applicable": true, "complianceState": "COMPLIANT" }]))
}

fn inventory(query: &str) -> Value {
    let filter = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "filter");
    let filter = filter.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let number: Option<usize> =
        filter.split('"').nth(1).and_then(|id| id.strip_prefix("SOAK")?.parse().ok());
    let Some(number) = number else {
        return json!({ "totalCount": 0, "results": [] });
    };
    json!({ "totalCount": 1, "results": [{
        "id": number.to_string(),
        "udid": format!("00000000-{number}"),
        "general": { "lastContactTime": clock::rfc3339(clock::now()), "remoteManagement": { "managed": true } },
        "hardware": { "serialNumber": serial(number) },
        "operatingSystem": { "version": "26.1" },
        "userAndLocation": { "email": person(number) },
    }] })
}
