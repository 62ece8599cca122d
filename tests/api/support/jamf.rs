//! A Jamf Pro on loopback that knows four computers.

use serde_json::json;
use std::time::Duration;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Serial number, whether it is managed, compliance state. All of alice@example.com, seen at the
/// time of the tests.
const COMPUTERS: [(&str, bool, &str); 3] =
    [("GOOD", true, "COMPLIANT"), ("BAD", true, "NON_COMPLIANT"), ("LOST", false, "COMPLIANT")];

pub(crate) struct FakeJamf(MockServer);

impl FakeJamf {
    /// A server that accepts this token.
    pub(crate) async fn believing(token: &str) -> Self {
        let jamf = Self(MockServer::start().await);
        jamf.believe(token).await;
        jamf
    }

    pub(crate) fn uri(&self) -> String {
        self.0.uri()
    }

    /// From now on only this token is accepted.
    pub(crate) async fn believe(&self, token: &str) {
        self.0.reset().await;
        let bearer = format!("Bearer {token}");
        let is_believed = move |request: &Request| {
            request.headers.get("authorization").is_some_and(|sent| *sent == bearer.as_str())
        };
        let inventory = Mock::given(method("GET"))
            .and(path("/api/v3/computers-inventory"))
            .and(is_believed.clone());
        inventory
            .respond_with(|request: &Request| {
                ResponseTemplate::new(200).set_body_json(inventory_of(request))
            })
            .mount(&self.0)
            .await;
        for (id, (_, _, state)) in COMPUTERS.iter().enumerate() {
            let path = path(format!(
                "/api/v1/conditional-access/device-compliance-information/computer/{id}"
            ));
            let records = json!([{ "deviceId": id.to_string(), "applicable": true, "complianceState": state }]);
            let compliance = Mock::given(method("GET")).and(path).and(is_believed.clone());
            compliance
                .respond_with(ResponseTemplate::new(200).set_body_json(records))
                .mount(&self.0)
                .await;
        }
        Mock::given(path_regex(".*"))
            .respond_with(ResponseTemplate::new(401))
            .with_priority(9)
            .mount(&self.0)
            .await;
    }

    /// From now on every answer is this one.
    pub(crate) async fn answer(&self, status: u16, body: &str) {
        self.0.reset().await;
        let response = ResponseTemplate::new(status).set_body_raw(body, "application/json");
        Mock::given(path_regex(".*")).respond_with(response).mount(&self.0).await;
    }

    /// From now on no answer comes in time.
    pub(crate) async fn hang(&self) {
        self.0.reset().await;
        Mock::given(path_regex(".*"))
            .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
            .mount(&self.0)
            .await;
    }

    /// The number of requests since the last change.
    pub(crate) async fn asked(&self) -> usize {
        self.0.received_requests().await.unwrap().len()
    }
}

fn inventory_of(request: &Request) -> serde_json::Value {
    let filter = request
        .url
        .query_pairs()
        .find(|(name, _)| name == "filter")
        .map(|(_, value)| value.into_owned())
        .unwrap();
    let wanted = COMPUTERS
        .iter()
        .enumerate()
        .filter(|(_, (serial, ..))| filter.contains(&format!("\"{serial}\"")));
    let computer = |(id, (serial, managed, _)): (usize, &(&str, bool, &str))| {
        json!({
            "id": id.to_string(),
            "udid": format!("00000000-{id}"),
            "general": { "lastContactTime": "2026-03-04T10:00:00Z", "remoteManagement": { "managed": managed } },
            "hardware": { "serialNumber": serial },
            "operatingSystem": { "version": "26.1" },
            "userAndLocation": { "email": "Alice@Example.com" },
        })
    };
    let results: Vec<_> = wanted.map(computer).collect();
    json!({ "totalCount": results.len(), "results": results })
}
