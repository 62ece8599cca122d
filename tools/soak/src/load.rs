//! The load: who asks for what, and how often.

use crate::clock;
use crate::exchanges::Exchanges;
use crate::lambda::{CONCURRENCY, Event, Lambda};
use crate::world::{World, person, serial};
use crate::{Result, lock};
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// People who stay far below their quota.
pub(crate) const POLITE: usize = 120;
/// People whose budget for the day is nearly used up when the run begins.
pub(crate) const SPENT: [usize; 3] = [POLITE, POLITE + 1, POLITE + 2];
/// The person whom an operator blocks from time to time.
pub(crate) const BLOCKED: usize = POLITE + 3;
/// A person who sends as much as possible.
const FLOODER: usize = POLITE + 4;
/// The person who asks for nothing but health.
const PROBER: usize = POLITE + 5;
/// People without a valid client token.
const STRANGER: usize = POLITE + 6;
/// The role whose callers choose their own session names.
const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/pipeline";

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Credentials that everybody may have.
    Vend,
    /// The same, by somebody who sends too many requests.
    Flood,
    /// The same, by somebody who is blocked from time to time.
    Blocked,
    /// Credentials that need the caller's own device.
    OwnDevice,
    /// The same with somebody else's device.
    OthersDevice,
    /// Credentials that the policy of the moment permits or forbids.
    Toggled,
    UnknownProfile,
    Profiles,
    Explain,
    BadDuration,
    NoProfile,
    NoPath,
    BadMethod,
    TooLarge,
    WrongToken,
    /// An event without an identity.
    Unsigned,
    /// A payload that is no event.
    Garbage,
    Health,
}

/// The shares of the load, in per mille.
const MIX: [(Kind, u32); 16] = [
    (Kind::Vend, 400),
    (Kind::Flood, 190),
    (Kind::OwnDevice, 130),
    (Kind::Toggled, 110),
    (Kind::OthersDevice, 30),
    (Kind::UnknownProfile, 20),
    (Kind::Profiles, 30),
    (Kind::Explain, 20),
    (Kind::BadDuration, 10),
    (Kind::NoProfile, 10),
    (Kind::NoPath, 10),
    (Kind::BadMethod, 10),
    (Kind::TooLarge, 5),
    (Kind::WrongToken, 10),
    (Kind::Unsigned, 5),
    (Kind::Garbage, 5),
];

/// The load generator.
pub(crate) struct Load {
    rng: Mutex<Rng>,
    ended: AtomicBool,
    /// Requests that were due while the function was at its limit.
    held_back: AtomicU64,
    per_second: u32,
}

impl Load {
    pub(crate) fn new(seed: u64, per_second: u32) -> Self {
        Self {
            rng: Rng::with_seed(seed).into(),
            ended: AtomicBool::new(false),
            held_back: AtomicU64::new(0),
            per_second,
        }
    }

    /// Ends the load.
    pub(crate) fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    pub(crate) fn held_back(&self) -> u64 {
        self.held_back.load(Relaxed)
    }

    /// Sends requests until the end. Never more are open than two instances take at once.
    pub(crate) async fn run(
        &self,
        lambda: &Lambda,
        exchanges: &Exchanges,
        world: &World,
    ) -> Result<()> {
        let begin = clock::now();
        let pause = clock::SECOND / u64::from(self.per_second.max(1));
        for turn in 0_u64.. {
            clock::sleep_until(begin + turn * pause).await;
            if self.ended.load(Relaxed) {
                break;
            }
            let kind = self.kind(turn);
            if exchanges.open() >= 2 * CONCURRENCY {
                self.held_back.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_micros(1)).await;
                continue;
            }
            let payload = self.payload(kind, world);
            let number = exchanges.sent(kind);
            lambda.send(Event { number, payload: payload.into() })?;
        }
        Ok(())
    }

    /// Once a second health, and a request of the person who is blocked from time to time.
    fn kind(&self, turn: u64) -> Kind {
        let place = turn % u64::from(self.per_second.max(2));
        match place {
            0 => return Kind::Health,
            1 => return Kind::Blocked,
            _ => {}
        }
        let mut left = lock(&self.rng).u32(0..MIX.iter().map(|(_, share)| share).sum());
        for (kind, share) in MIX {
            if left < share {
                return kind;
            }
            left -= share;
        }
        Kind::Vend
    }

    fn payload(&self, kind: Kind, world: &World) -> String {
        let mut rng = lock(&self.rng);
        let caller = match kind {
            Kind::Flood => {
                *rng.choice(&[SPENT[0], SPENT[1], SPENT[2], FLOODER]).unwrap_or(&FLOODER)
            }
            Kind::Blocked => BLOCKED,
            Kind::Health => PROBER,
            Kind::WrongToken => STRANGER,
            _ => rng.usize(..POLITE),
        };
        let own = serial(caller);
        let others = serial((caller + 1) % POLITE);
        let (method, path, query) = match kind {
            Kind::Garbage => return "this is not JSON, CANARY-payload".to_owned(),
            Kind::OwnDevice => {
                ("GET", "/v1/credentials", format!("profile=own-device&device_id={own}"))
            }
            Kind::OthersDevice => {
                ("GET", "/v1/credentials", format!("profile=own-device&device_id={others}"))
            }
            Kind::Toggled => ("GET", "/v1/credentials", "profile=toggled".to_owned()),
            Kind::UnknownProfile => ("GET", "/v1/credentials", "profile=nothing".to_owned()),
            Kind::Profiles => ("GET", "/v1/profiles", String::new()),
            Kind::Explain => ("GET", "/v1/explain", "profile=development".to_owned()),
            Kind::BadDuration => {
                ("GET", "/v1/credentials", "profile=development&duration=1".to_owned())
            }
            Kind::NoProfile => ("GET", "/v1/credentials", String::new()),
            Kind::NoPath => ("GET", "/v1/nothing", String::new()),
            Kind::BadMethod => ("DELETE", "/v1/credentials", "profile=development".to_owned()),
            Kind::TooLarge => {
                ("GET", "/v1/credentials", format!("profile=development&x={}", "x".repeat(9_000)))
            }
            Kind::Health => ("GET", "/v1/health", String::new()),
            Kind::Vend | Kind::Flood | Kind::Blocked | Kind::WrongToken | Kind::Unsigned => {
                ("GET", "/v1/credentials", "profile=development".to_owned())
            }
        };
        // One of the flooders is a role: its callers choose a new session name each time.
        let is_role = kind == Kind::Flood && rng.bool();
        let session = rng.u32(..);
        drop(rng);
        let arn = if is_role { format!("{ROLE}/run-{session}") } else { arn(caller) };
        let token = if kind == Kind::WrongToken {
            "CANARY-wrong-token-wrong-token-wrong-token".to_owned()
        } else {
            world.secrets.token()
        };
        event(method, path, &query, &arn, &token, kind != Kind::Unsigned).to_string()
    }
}

/// The ARN of a person, which is the principal, too.
pub(crate) fn arn(number: usize) -> String {
    const PEOPLE: &str =
        "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developer_0123456789abcdef";
    format!("{PEOPLE}/{}", person(number))
}

/// An event as the Function URL sends it: the stored one of the tests, changed.
fn event(method: &str, path: &str, query: &str, arn: &str, token: &str, signed: bool) -> Value {
    static STORED: LazyLock<Value> = LazyLock::new(|| {
        let text = include_str!("../../../tests/events/function-url-identity-center.json");
        serde_json::from_str(text).unwrap_or_default()
    });
    let mut event = STORED.clone();
    event["rawPath"] = path.into();
    event["rawQueryString"] = query.into();
    event["headers"]["x-amz-date"] = clock::amz_date(clock::now()).into();
    event["headers"]["authorization"] = "AWS4-HMAC-SHA256 CANARY-signature".into();
    event["headers"]["x-sentinel-token"] = token.into();
    event["requestContext"]["http"]["method"] = method.into();
    event["requestContext"]["http"]["path"] = path.into();
    let iam = &mut event["requestContext"]["authorizer"]["iam"];
    let session = arn.rsplit('/').next().unwrap_or_default();
    iam["userArn"] = arn.into();
    iam["userId"] = format!("AROACKCEVSQ6C2EXAMPLE:{session}").into();
    iam["callerId"] = iam["userId"].clone();
    if !signed {
        event["requestContext"]["authorizer"] = json!(null);
    }
    event
}
