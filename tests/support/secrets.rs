//! A Secrets Manager on loopback that holds one secret.

use serde_json::json;
use std::time::Duration;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub(crate) struct FakeSecrets(MockServer);

impl FakeSecrets {
    pub(crate) async fn holding(text: &str) -> Self {
        let manager = Self(MockServer::start().await);
        manager.hold(text).await;
        manager
    }

    pub(crate) async fn slowly(text: &str, delay: Duration) -> Self {
        let manager = Self(MockServer::start().await);
        manager.answer(value(json!({ "SecretString": text })).set_delay(delay)).await;
        manager
    }

    pub(crate) fn uri(&self) -> String {
        self.0.uri()
    }

    /// From now on the secret has this text; forgets earlier requests.
    pub(crate) async fn hold(&self, text: &str) {
        self.answer(value(json!({ "SecretString": text }))).await;
    }

    /// From now on the secret is binary.
    pub(crate) async fn hold_binary(&self) {
        self.answer(value(json!({ "SecretBinary": "AAEC" }))).await;
    }

    /// From now on every request fails.
    pub(crate) async fn fail(&self, status: u16, code: &str) {
        let body = json!({ "__type": code, "message": "CANARY arn:aws:secretsmanager:eu-central-1:123456789012:secret:mdm" });
        self.answer(ResponseTemplate::new(status).set_body_json(body)).await;
    }

    /// The number of requests since the last change.
    pub(crate) async fn asked(&self) -> usize {
        self.0.received_requests().await.unwrap().len()
    }

    async fn answer(&self, response: ResponseTemplate) {
        self.0.reset().await;
        let asked = Mock::given(method("POST"))
            .and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        asked.respond_with(response).mount(&self.0).await;
    }
}

fn value(mut body: serde_json::Value) -> ResponseTemplate {
    body["Name"] = json!("mdm");
    ResponseTemplate::new(200).set_body_json(body)
}
