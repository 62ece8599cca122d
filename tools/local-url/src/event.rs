//! The event that AWS sends to the function behind a Function URL, payload format 2.0.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::http::request::Parts;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description};

use crate::keys::Signer;

/// A verified request, and what is known of it beside its head and body.
pub(crate) struct Verified<'r> {
    pub(crate) request: &'r Parts,
    pub(crate) body: &'r [u8],
    pub(crate) signer: &'r Signer,
    pub(crate) source_ip: IpAddr,
    pub(crate) request_id: &'r str,
    pub(crate) received_at: SystemTime,
}

/// As the common log format has it, in UTC.
fn common_log_time(at: OffsetDateTime) -> Option<String> {
    let format = "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000";
    at.format(&format_description::parse_borrowed::<2>(format).ok()?).ok()
}

impl Verified<'_> {
    /// The event for this request.
    pub(crate) fn event(&self) -> Value {
        let headers = self.headers();
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.request.uri.path(),
            "rawQueryString": self.request.uri.query().unwrap_or_default(),
            "requestContext": self.context(&headers),
            "headers": headers,
            "isBase64Encoded": false,
        });
        if let Some(query) = self.request.uri.query() {
            event["queryStringParameters"] = query_parameters(query);
        }
        if !self.body.is_empty() {
            let (body, is_base64) = self.text_or_base64();
            event["body"] = body.into();
            event["isBase64Encoded"] = is_base64.into();
        }
        event
    }

    fn context(&self, headers: &BTreeMap<&str, String>) -> Value {
        let received_at = OffsetDateTime::from(self.received_at);
        let domain = headers.get(HOST.as_str()).map_or("", String::as_str);
        let url_id = domain.split('.').next();
        json!({
            "accountId": self.signer.account_id,
            "apiId": url_id,
            "authentication": null,
            "authorizer": { "iam": self.iam() },
            "domainName": domain,
            "domainPrefix": url_id,
            "http": {
                "method": self.request.method.as_str(),
                "path": self.request.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": self.source_ip,
                "userAgent": headers.get(USER_AGENT.as_str()),
            },
            "requestId": self.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": common_log_time(received_at),
            "timeEpoch": received_at.unix_timestamp_nanos() / 1_000_000,
        })
    }

    fn iam(&self) -> Value {
        json!({
            "accessKey": self.signer.access_key_id,
            "accountId": self.signer.account_id,
            "callerId": self.signer.user_id,
            "cognitoIdentity": null,
            "principalOrgId": self.signer.principal_org_id,
            "userArn": self.signer.user_arn,
            "userId": self.signer.user_id,
        })
    }

    /// Names in lower case, the values of a repeated header joined, and AWS's own `x-forwarded-for`
    /// over the caller's.
    fn headers(&self) -> BTreeMap<&str, String> {
        let mut headers = BTreeMap::new();
        for (name, value) in &self.request.headers {
            append(&mut headers, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
        headers.insert("x-forwarded-for", self.source_ip.to_string());
        headers
    }

    fn text_or_base64(&self) -> (String, bool) {
        let content_type = self.request.headers.get(CONTENT_TYPE);
        let is_text = content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.starts_with("text/") || value.starts_with("application/json")
        });
        match str::from_utf8(self.body) {
            Ok(text) if is_text => (text.to_owned(), false),
            _ => (STANDARD.encode(self.body), true),
        }
    }
}

/// Decoded, and the values of a repeated parameter joined with commas.
fn query_parameters(query: &str) -> Value {
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        append(&mut parameters, name, &value);
    }
    json!(parameters)
}

fn append<K: Ord>(values: &mut BTreeMap<K, String>, name: K, value: &str) {
    values
        .entry(name)
        .and_modify(|joined| {
            joined.push(',');
            joined.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

#[cfg(test)]
mod tests;
