//! Device postures: each provider as its public API documents it, on loopback, with the secret in a
//! Secrets Manager on loopback.

mod cache;
mod faults;
mod intune;
mod jamf;
mod kandji;
mod rotation;
mod security;

use crate::support::{self, wednesday_morning};
use sentinel_tvm::{
    BaseUrl, CachedSecret, Device, DeviceId, Event, Freshness, Mdm, MdmSettings, Posture,
    PostureError, PostureSource, Provider, VendRequest,
};
use serde_json::{Value, json};
use std::time::Duration;
use time::UtcDateTime;
use wiremock::matchers::{bearer_token, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// The serial number of the device that most tests ask about, and of another.
const SERIAL: &str = "C02XL0GTJGH5";
const OTHER_SERIAL: &str = "C02XL0GTJGH6";
const TOKEN: &str = "CANARY-mdm-token";
const CLIENT: &str = r#"{"client_id":"sentinel","client_secret":"CANARY-client-secret"}"#;

/// The posture of a compliant device of alice, looked up a moment ago.
fn in_order(provider: &'static str, os_version: &str) -> Posture {
    let device = Device {
        managed: true,
        compliant: true,
        owner: Some("alice@example.com".to_owned()),
        last_seen: Some(minutes_before(10)),
        os_version: Some(os_version.to_owned()),
        provider,
    };
    Posture { device, secret: Freshness::Fresh, source: PostureSource::Mdm }
}

/// A device-management system and a Secrets Manager.
struct Stage {
    mdm: MockServer,
    secrets: MockServer,
}

impl Stage {
    /// With this secret in Secrets Manager.
    async fn with_secret(secret: &str) -> Self {
        let stage = Self { mdm: MockServer::start().await, secrets: MockServer::start().await };
        stage.put_secret(secret).await;
        stage
    }

    async fn start() -> Self {
        Self::with_secret(TOKEN).await
    }

    /// From now on Secrets Manager has this secret.
    async fn put_secret(&self, secret: &str) {
        self.secrets.reset().await;
        let body = json!({ "Name": "mdm", "SecretString": secret, "VersionId": "0a1b2c3d-4e5f-6789-abcd-ef0123456789" });
        let asked = Mock::given(method("POST"))
            .and(header("x-amz-target", "secretsmanager.GetSecretValue"));
        asked
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&self.secrets)
            .await;
    }

    /// From now on a GET of this path with this bearer token has this reply.
    async fn answer_to(&self, token: &str, at: &str, response: ResponseTemplate) {
        let asked = Mock::given(method("GET")).and(path(at)).and(bearer_token(token));
        asked.respond_with(response).mount(&self.mdm).await;
    }

    /// From now on a GET of this path with the secret as bearer token has this body.
    async fn answer(&self, at: &str, body: &Value) {
        self.answer_to(TOKEN, at, ResponseTemplate::new(200).set_body_json(body)).await;
    }

    /// From now on a POST for an access token has this reply.
    async fn answer_client(&self, at: &str, response: ResponseTemplate) {
        Mock::given(method("POST")).and(path(at)).respond_with(response).mount(&self.mdm).await;
    }

    /// The function's client, with a time-out that no reply exceeds, however busy the machine.
    async fn mdm(&self, provider: Provider) -> Mdm {
        self.mdm_within(provider, Duration::from_mins(1)).await
    }

    async fn mdm_within(&self, provider: Provider, timeout: Duration) -> Mdm {
        let aws = support::sdk_config(&self.secrets.uri()).await;
        let secret = CachedSecret::from_secrets_manager(&aws, "mdm", time::Duration::HOUR);
        Mdm::new(settings(provider, &self.mdm.uri(), timeout), secret, &support::https()).unwrap()
    }

    /// What this provider reports about the device with the usual serial number.
    async fn posture(&self, provider: Provider) -> Result<Posture, PostureError> {
        self.mdm(provider).await.posture(&device(SERIAL), wednesday_morning()).await
    }

    /// The requests so far.
    async fn requests(&self) -> Vec<Request> {
        self.mdm.received_requests().await.unwrap()
    }

    /// Methods and paths of the requests so far.
    async fn asked(&self) -> Vec<String> {
        self.requests()
            .await
            .iter()
            .map(|request| format!("{} {}", request.method, request.url.path()))
            .collect()
    }

    async fn secrets_asked(&self) -> usize {
        self.secrets.received_requests().await.unwrap().len()
    }
}

fn settings(provider: Provider, base_url: &str, timeout: Duration) -> MdmSettings {
    let posture_ttl = time::Duration::seconds(60);
    MdmSettings { provider, base_url: BaseUrl::parse(base_url).unwrap(), timeout, posture_ttl }
}

fn intune() -> Provider {
    Provider::Intune { tenant_id: "0a1b2c3d-4e5f-6789-abcd-ef0123456789".to_owned() }
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id.to_owned()).unwrap()
}

/// A parameter of a request's query, decoded.
fn parameter(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn upstream(cause: &'static str) -> PostureError {
    PostureError::Upstream { cause: cause.into() }
}

fn minutes_before(minutes: i64) -> UtcDateTime {
    wednesday_morning() - time::Duration::minutes(minutes)
}

/// An object with one member, found by a JSON pointer, replaced.
fn with(mut object: Value, pointer: &str, value: impl Into<Value>) -> Value {
    *object.pointer_mut(pointer).unwrap() = value.into();
    object
}
