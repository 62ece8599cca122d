//! Changes to events: to what clients send, as AWS would pass it on; and to any member, as AWS
//! never would.
//!
//! None repeats a name in a JSON object, and none gives an event a path or a query of the other
//! payload version: AWS writes no such event, and readers may take the one, the other or neither.

use super::Sample;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// No, one or two mutations.
#[derive(Debug, Clone)]
pub(super) struct Mutations(pub(super) Vec<Mutation>);

/// A change that fits both payload versions.
#[derive(Debug, Clone)]
pub(super) enum Mutation {
    Method(String),
    Path(String),
    Stage(Value),
    /// The query as the client sent it.
    Query(String),
    /// A header that the client sent this many times.
    Header(String, Vec<String>),
    Body(Vec<u8>, Encoding),
    /// A member of the identity.
    Identity(&'static str, Value),
    /// A second identity, where the other payload version has it.
    OtherIdentity(Value),
    Version(Value),
    /// Only the maps that have one value for each parameter and header.
    SingleValues,
    /// Any member.
    Member(Index, Value),
    Absent(Index),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Encoding {
    Plain,
    Base64,
}

impl Mutations {
    pub(super) fn strategy() -> impl Strategy<Value = Self> {
        vec(mutation(), 1..=2).prop_map(Self)
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let method = prop_oneof![
        select(vec!["GET", "POST", "", "get", "PURGE"]).prop_map(String::from),
        ".{0,4}"
    ];
    let path = prop_oneof![
        "/[a-z0-9%./]{0,20}",
        "(/prod|/\\$default|/prod/prod)?/v1/[a-z]{0,9}",
        "[ -~é]{0,9}"
    ];
    let stage = prop_oneof![
        select(vec![json!(null), json!(""), json!("$default"), json!("prod"), json!("v1")]),
        "[a-z$/]{0,4}".prop_map(Value::from)
    ];
    let bodies = prop_oneof![
        "[ -~é]{0,20}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
        select(vec![8_191, 8_192, 8_193, 9_000]).prop_map(|length| vec![b'x'; length]),
    ];
    let encoding = select(vec![Encoding::Plain, Encoding::Base64]);
    let names = vec!["userArn", "accessKey", "principalOrgId", "sourceIp", "userId", "accountId"];
    prop_oneof![
        2 => method.prop_map(Mutation::Method),
        2 => path.prop_map(Mutation::Path),
        2 => stage.prop_map(Mutation::Stage),
        4 => query().prop_map(Mutation::Query),
        4 => header().prop_map(|(name, values)| Mutation::Header(name, values)),
        3 => (bodies, encoding).prop_map(|(body, encoding)| Mutation::Body(body, encoding)),
        3 => (select(names), value()).prop_map(|(name, value)| Mutation::Identity(name, value)),
        1 => value().prop_map(Mutation::OtherIdentity),
        1 => prop_oneof![Just(json!("1.0")), Just(json!("2.0")), value()].prop_map(Mutation::Version),
        2 => Just(Mutation::SingleValues),
        4 => (any::<Index>(), value()).prop_map(|(member, value)| Mutation::Member(member, value)),
        2 => any::<Index>().prop_map(Mutation::Absent),
    ]
}

/// Pieces of queries, so that names repeat and encodings break off.
fn query() -> impl Strategy<Value = String> {
    let pieces = vec![
        "&",
        "&",
        "=",
        "=",
        "profile",
        "development",
        "duration",
        "900",
        "a",
        "A",
        "+",
        "%20",
        "%",
        "%2",
        "%zz",
        "%C3%A9",
        "%FF",
        "%00",
        "%26",
        "%3D",
        "%2B",
        ";",
        ",",
        "é",
        "[]",
        "X-Amz-Date",
        "x-amz-Signature",
        "X-Amz",
        "?",
        "/",
        "\\",
        "~",
    ];
    let short = vec(select(pieces), 0..12).prop_map(|pieces| pieces.concat());
    let long =
        (select(vec![8_183, 8_184, 8_185, 9_000]), any::<bool>()).prop_map(|(length, signed)| {
            format!(
                "{}a={}",
                if signed { "X-Amz-Signature=00&" } else { "" },
                "x".repeat(length + 8)
            )
        });
    prop_oneof![9 => short, 1 => long]
}

fn header() -> impl Strategy<Value = (String, Vec<String>)> {
    let names = vec![
        "x-sentinel-token",
        "X-Sentinel-Token",
        "X-SENTINEL-TOKEN",
        "user-agent",
        "User-Agent",
        "x-amz-date",
    ];
    let value = prop_oneof!["[ -~]{0,20}", "[ -~é]{0,8}", "[a-z]{1,3},[a-z]{1,3}"];
    (select(names).prop_map(String::from), vec(value, 1..=3))
}

/// A value of any type, often one that a reader could accept.
fn value() -> impl Strategy<Value = Value> {
    let texts = vec![
        "",
        "2.0",
        "1.0",
        "arn:aws:iam::123456789012:root",
        "203.0.113.9",
        "::ffff:203.0.113.9",
        "o-x",
        "$default",
    ];
    prop_oneof![
        3 => Just(Value::Null),
        3 => select(texts).prop_map(Value::from),
        1 => ".{0,9}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!({})),
        1 => Just(json!([])),
        1 => Just(json!(["a", "b"])),
        1 => Just(json!({ "a": "b" })),
    ]
}

impl Mutation {
    pub(super) fn apply_all(text: &str, mutations: &[Self]) -> Sample {
        let mut event: Value = serde_json::from_str(text).unwrap();
        let is_payload_2 = event["version"] == "2.0";
        for mutation in mutations {
            mutation.apply(&mut event, is_payload_2);
        }
        Sample { text: event.to_string(), event }
    }

    fn apply(&self, event: &mut Value, is_payload_2: bool) {
        let context = "/requestContext";
        let places = ["/requestContext/identity", "/requestContext/authorizer/iam"];
        let (own, other) = (places[usize::from(is_payload_2)], places[usize::from(!is_payload_2)]);
        match self {
            Self::Method(method) if is_payload_2 => {
                set(event, "/requestContext/http", "method", json!(method));
            }
            Self::Method(method) => {
                set(event, "", "httpMethod", json!(method));
                set(event, context, "httpMethod", json!(method));
            }
            Self::Path(path) => {
                set(event, "", if is_payload_2 { "rawPath" } else { "path" }, json!(path));
            }
            Self::Stage(stage) => set(event, context, "stage", stage.clone()),
            Self::Query(query) => set_query(event, query, is_payload_2),
            Self::Header(name, values) if is_payload_2 => {
                set(event, "/headers", name, json!(values.join(",")));
            }
            Self::Header(name, values) => {
                set(event, "/headers", name, json!(values.last()));
                set(event, "/multiValueHeaders", name, json!(values));
            }
            Self::Body(bytes, encoding) => set_body(event, bytes, *encoding),
            Self::Identity("userId", value) if !is_payload_2 => {
                set(event, own, "user", value.clone());
            }
            Self::Identity(name, value) => set(event, own, name, value.clone()),
            Self::OtherIdentity(arn) => {
                if is_payload_2 {
                    set(event, context, "identity", json!({}));
                } else {
                    set(event, context, "authorizer", json!({ "iam": {} }));
                }
                set(event, other, "userArn", arn.clone());
            }
            Self::Version(version) => set(event, "", "version", version.clone()),
            Self::SingleValues => {
                let event = event.as_object_mut().unwrap();
                for name in
                    ["rawQueryString", "multiValueQueryStringParameters", "multiValueHeaders"]
                {
                    event.remove(name);
                }
            }
            Self::Member(index, value) => {
                let (parent, name) = member(event, *index);
                set(event, &parent, &name, value.clone());
            }
            Self::Absent(index) => {
                let (parent, name) = member(event, *index);
                event.pointer_mut(&parent).and_then(Value::as_object_mut).unwrap().remove(&name);
            }
        }
    }
}

/// Sets a member of the object at a JSON pointer, if an earlier mutation has left the object there.
fn set(event: &mut Value, parent: &str, name: &str, value: Value) {
    if let Some(object) = event.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.insert(name.to_owned(), value);
    }
}

/// In payload 2.0 the query as it was sent, and a map of values joined by commas; in payload 1.0
/// two maps.
fn set_query(event: &mut Value, query: &str, is_payload_2: bool) {
    let mut many = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let values = many.entry(name).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(json!(value));
    }
    let texts = |values: &Value| {
        values
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let single = many.iter().map(|(name, values)| {
        let texts = texts(values);
        let value = if is_payload_2 { texts.join(",") } else { texts.last().unwrap().clone() };
        (name.clone(), json!(value))
    });
    set(event, "", "queryStringParameters", Value::Object(single.collect()));
    if is_payload_2 {
        set(event, "", "rawQueryString", json!(query));
    } else {
        set(event, "", "multiValueQueryStringParameters", Value::Object(many));
    }
}

fn set_body(event: &mut Value, bytes: &[u8], encoding: Encoding) {
    let (text, is_base64) = match encoding {
        Encoding::Plain => (String::from_utf8_lossy(bytes).into_owned(), false),
        Encoding::Base64 => (BASE64.encode(bytes), true),
    };
    set(event, "", "body", json!(text));
    set(event, "", "isBase64Encoded", json!(is_base64));
}

/// A member of the event at any depth: the pointer of its object, and its name.
fn member(event: &Value, index: Index) -> (String, String) {
    fn collect(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
        for (name, member) in value.as_object().into_iter().flatten() {
            found.push((pointer.to_owned(), name.clone()));
            let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            collect(member, &below, found);
        }
    }
    let mut found = Vec::new();
    collect(event, "", &mut found);
    index.get(&found).clone()
}
