//! The function in this process, an STS on loopback, and events to send.

pub(crate) mod audit;
mod call;
mod jamf;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "`components` uses the rest")]
mod shared;
mod sts;

pub(crate) use call::Call;
pub(crate) use jamf::FakeJamf;
pub(crate) use shared::{
    CANARY, Dynamo, EVENTS, FakeSecrets, TABLE, bundle, config, parameters, sdk_config,
    wednesday_morning,
};
pub(crate) use sts::FakeSts;

use parameters::FakeParameters;
use sentinel_tvm::{App, CallerProof, Invocation, Response, Services, Sts};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, UtcDateTime};

/// The invocation id of every request.
pub(crate) const REQUEST_ID: &str = "0a1b2c3d-4e5f-6789-abcd-ef0123456789";

/// The function's ARN.
pub(crate) const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:sentinel-tvm";

/// The function with what it depends on.
pub(crate) struct Api {
    app: App,
    pub(crate) sts: FakeSts,
    pub(crate) secrets: FakeSecrets,
    lines: Arc<Mutex<Vec<String>>>,
    /// Whether audit lines can be written.
    pub(crate) log_works: Arc<AtomicBool>,
    pub(crate) now: UtcDateTime,
    /// The invocation's id.
    pub(crate) request_id: String,
    pub(crate) time_left: std::time::Duration,
}

/// A reply with its audit line.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) audit: Value,
}

impl Api {
    /// With the tests' bundle and default settings.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let secrets = FakeSecrets::holding("not a secret that is used").await;
        let aws = sdk_config(&secrets.uri()).await;
        Box::pin(Self::open(variables, &aws, secrets)).await
    }

    /// With the policy that `store` holds, and some settings changed.
    pub(crate) async fn with_parameters(
        store: &FakeParameters,
        variables: &[(&str, &str)],
    ) -> Self {
        let secrets = FakeSecrets::holding("not a secret that is used").await;
        let path = [("SENTINEL_POLICY_PARAMETER", parameters::PATH)];
        Self::open(&[&path, variables].concat(), &sdk_config(&store.uri()).await, secrets).await
    }

    /// With its rate limits counted in `dynamo`, and some settings changed.
    pub(crate) async fn with_table(dynamo: &Dynamo, variables: &[(&str, &str)]) -> Self {
        let secrets = FakeSecrets::holding("not a secret that is used").await;
        let table = [("SENTINEL_RATE_LIMIT_TABLE", TABLE)];
        Self::open(&[&table, variables].concat(), &sdk_config(dynamo.uri()).await, secrets).await
    }

    /// With `aws` for everything but STS.
    async fn open(
        variables: &[(&str, &str)],
        aws: &aws_config::SdkConfig,
        secrets: FakeSecrets,
    ) -> Self {
        let sts = FakeSts::start().await;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let log_works = Arc::new(AtomicBool::new(true));
        let works = Arc::clone(&log_works);
        let audit = Box::new(move |line: &str| {
            sink.lock().unwrap().push(line.to_owned());
            if works.load(Relaxed) { Ok(()) } else { Err(std::io::ErrorKind::StorageFull.into()) }
        });
        let config = config(variables);
        let elsewhere = Services::open(&config, aws, wednesday_morning()).await.unwrap();
        let to_sts = sdk_config(&sts.uri()).await;
        let caller_proof = CallerProof::new(&config.caller_proof, &to_sts);
        let services = Services { sts: Sts::new(&to_sts), caller_proof, ..elsewhere };
        let app = App::new(config, services, audit);
        Self {
            app,
            sts,
            secrets,
            lines,
            log_works,
            now: wednesday_morning(),
            request_id: REQUEST_ID.to_owned(),
            time_left: std::time::Duration::from_mins(1),
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::seconds(seconds.try_into().unwrap());
    }

    /// Sends an event, and checks that it leaves exactly one audit line of one line.
    pub(crate) async fn send(&self, call: impl Into<Value>) -> Answer {
        self.send_text(&call.into().to_string()).await
    }

    /// Sends a payload as it is.
    pub(crate) async fn send_text(&self, payload: &str) -> Answer {
        let invocation = Invocation {
            request_id: &self.request_id,
            now: self.now,
            time_left: self.time_left,
            function_arn: FUNCTION,
        };
        let response = self.app.handle(payload, invocation).await;
        let mut lines =
            std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(lines.len(), 1, "one request, one audit line: {lines:?}");
        let line = lines.remove(0);
        let audit = audit::checked(&line);
        assert_eq!(audit["request_id"], *self.request_id);
        if self.log_works.load(Relaxed) {
            assert_eq!(audit["status"], response.status_code);
        }
        Answer { response, audit }
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status_code
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.response.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers.get(name).map(String::as_str)
    }

    /// Status and code; `OK` for a success.
    pub(crate) fn outcome(&self) -> (u16, String) {
        assert_eq!(
            self.audit["code"].as_str().unwrap(),
            self.body()["Code"].as_str().unwrap_or("OK")
        );
        (self.status(), self.audit["code"].as_str().unwrap().to_owned())
    }

    /// Status, headers and body, for a snapshot; of the policy's digest only that it is there.
    pub(crate) fn shown(&self) -> String {
        let mut body = self.body();
        if let Some(digest) = body.pointer_mut("/policy/digest") {
            assert_eq!(digest.as_str().map(str::len), Some(64));
            *digest = "…".into();
        }
        let headers: Vec<String> =
            self.response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n{}\n\n{body:#}", self.status(), headers.join("\n"))
    }
}
