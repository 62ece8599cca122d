//! A Parameter Store on loopback, with pages of two parameters.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The path that everything is below.
pub(crate) const PATH: &str = "/sentinel/policy";
const PAGE: usize = 2;

/// One profile.
pub(crate) const PROFILES: &str = r#"
    [development]
    role_arn = "arn:aws:iam::222222222222:role/vended-development"
"#;
/// A rule that permits everything.
const OPEN: &str = r#"@id("open") permit (principal, action, resource);"#;
/// A rule that refuses everything.
pub(crate) const CLOSED: &str =
    r#"@id("closed") @reason("Closed for today.") forbid (principal, action, resource);"#;
/// A policy that grants the profile to everybody.
pub(crate) const BUNDLE: [(&str, &str); 2] = [("profiles", PROFILES), ("policies/access", OPEN)];

pub(crate) struct FakeParameters {
    server: MockServer,
    held: Held,
}

/// The parameters by their names below the path.
type Held = Arc<Mutex<BTreeMap<String, String>>>;

impl FakeParameters {
    /// A store with these parameters.
    pub(crate) async fn holding(parameters: &[(&str, &str)]) -> Self {
        let store = Self { server: MockServer::start().await, held: Held::default() };
        store.put(parameters);
        store.answer().await;
        store
    }

    pub(crate) fn uri(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn put(&self, parameters: &[(&str, &str)]) {
        let named = parameters.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        self.held.lock().unwrap().extend(named);
    }

    pub(crate) fn delete(&self, name: &str) {
        self.held.lock().unwrap().remove(name).unwrap();
    }

    /// From now on it answers; forgets earlier requests.
    pub(crate) async fn answer(&self) {
        self.answer_after(Duration::ZERO).await;
    }

    /// From now on it answers after a delay; forgets earlier requests.
    pub(crate) async fn answer_after(&self, delay: Duration) {
        self.respond(Pages { held: Arc::clone(&self.held), delay }).await;
    }

    /// From now on every request fails.
    pub(crate) async fn fail(&self, status: u16, code: &str) {
        self.respond(
            ResponseTemplate::new(status)
                .set_body_json(json!({ "__type": code, "message": "CANARY" })),
        )
        .await;
    }

    /// From now on no answer comes in time.
    pub(crate) async fn hang(&self) {
        self.respond(ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    }

    /// The number of pages requested since the last change.
    pub(crate) async fn pages(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    /// Waits until this many pages have been requested: a reload beside the requests takes its
    /// time.
    pub(crate) async fn until_asked(&self, pages: usize) {
        for _ in 0..1_000 {
            if self.pages().await >= pages {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no reload");
    }

    async fn respond(&self, response: impl Respond + 'static) {
        self.server.reset().await;
        let asked = Mock::given(method("POST"))
            .and(header("x-amz-target", "AmazonSSM.GetParametersByPath"));
        asked.respond_with(response).mount(&self.server).await;
    }
}

struct Pages {
    held: Held,
    delay: Duration,
}

impl Respond for Pages {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&asked["Path"], &asked["Recursive"], &asked["WithDecryption"]),
            (&json!(PATH), &json!(true), &json!(true))
        );
        let start = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let held = self.held.lock().unwrap();
        let parameter = |(name, text): (&String, &String)| json!({ "Name": format!("{PATH}/{name}"), "Type": "String", "Value": text });
        let page: Vec<Value> = held.iter().skip(start).take(PAGE).map(parameter).collect();
        let next = (start + PAGE < held.len()).then(|| (start + PAGE).to_string());
        ResponseTemplate::new(200)
            .set_body_json(json!({ "Parameters": page, "NextToken": next }))
            .set_delay(self.delay)
    }
}
