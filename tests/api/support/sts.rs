//! An STS on loopback that records its requests.

use http::HeaderValue;
use std::collections::BTreeMap;
use std::time::Duration;
use wiremock::matchers::{body_string_contains, method};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// What an AWS service says when it refuses: full of what must not be passed on.
const REFUSAL: &str = "User: arn:aws:sts::999999999999:assumed-role/CANARY-role/CANARY is not authorized to perform: \
    sts:AssumeRole on resource: arn:aws:iam::222222222222:role/CANARY";

pub(crate) struct FakeSts(MockServer);

impl FakeSts {
    /// One that grants every request.
    pub(crate) async fn start() -> Self {
        let sts = Self(MockServer::start().await);
        sts.answer(ResponseTemplate::new(200).set_body_string(granted())).await;
        sts
    }

    pub(crate) fn uri(&self) -> String {
        self.0.uri()
    }

    /// From now on every request is refused with this status and error code.
    pub(crate) async fn refuse(&self, status: u16, code: &str) {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{REFUSAL}</Message></Error><RequestId>CANARY-id</RequestId></ErrorResponse>"
        );
        self.answer(ResponseTemplate::new(status).set_body_string(body)).await;
    }

    /// From now on it says that every signature is of this identity.
    pub(crate) async fn identify(&self, arn: &str, user_id: &str) {
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
             <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
        );
        self.answer_identity(ResponseTemplate::new(200).set_body_string(body)).await;
    }

    /// From now on it refuses every other signature but the function's own.
    pub(crate) async fn refuse_identity(&self, status: u16, code: &str) {
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{REFUSAL}</Message></Error></ErrorResponse>"
        );
        self.answer_identity(ResponseTemplate::new(status).set_body_string(body)).await;
    }

    async fn answer_identity(&self, response: ResponseTemplate) {
        self.answer(ResponseTemplate::new(200).set_body_string(granted())).await;
        let asked = Mock::given(method("POST")).and(body_string_contains("GetCallerIdentity"));
        asked.respond_with(response).mount(&self.0).await;
    }

    /// The headers of each `GetCallerIdentity` request so far.
    pub(crate) async fn identity_requests(&self) -> Vec<BTreeMap<String, String>> {
        let requests = self.0.received_requests().await.unwrap();
        let asked = |request: &&Request| request.body.starts_with(b"Action=GetCallerIdentity");
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = |request: &Request| {
            request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
        };
        requests.iter().filter(asked).map(headers).collect()
    }

    /// From now on every reply has this body.
    pub(crate) async fn reply(&self, status: u16, body: &str) {
        self.answer(ResponseTemplate::new(status).set_body_string(body)).await;
    }

    /// From now on no reply comes in time.
    pub(crate) async fn hang(&self) {
        self.answer(ResponseTemplate::new(200).set_delay(Duration::from_mins(1))).await;
    }

    async fn answer(&self, response: ResponseTemplate) {
        self.0.reset().await;
        let asked = Mock::given(method("POST")).and(body_string_contains("Action=AssumeRole"));
        asked.respond_with(response).mount(&self.0).await;
    }

    /// The parameters of each request so far, in order.
    pub(crate) async fn requests(&self) -> Vec<BTreeMap<String, String>> {
        let requests = self.0.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| form_urlencoded::parse(&request.body).into_owned().collect())
            .collect()
    }
}

fn granted() -> String {
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
     <AccessKeyId>ASIAISSUEDTOCALLER00</AccessKeyId><SecretAccessKey>CANARY-issued-secret</SecretAccessKey>\
     <SessionToken>CANARY-issued-token</SessionToken><Expiration>2026-03-04T10:45:00.25Z</Expiration></Credentials>\
     <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::222222222222:assumed-role/r/s</Arn></AssumedRoleUser>\
     <PackedPolicySize>6</PackedPolicySize>\
     </AssumeRoleResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></AssumeRoleResponse>"
        .to_owned()
}
