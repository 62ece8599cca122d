//! The secret cache against Secrets Manager on loopback.

use crate::support::{CANARY, FakeSecrets, sdk_config, wednesday_morning};
use sentinel_tvm::{CachedSecret, Freshness, FromSecret, MdmCredential, SecretError};
use std::sync::{Arc, Mutex};
use std::time::Duration as Real;
use time::{Duration, UtcDateTime};
use tokio::task::JoinSet;

const TTL: Duration = Duration::hours(1);

/// A secret without a format.
struct Plain(String);

impl FromSecret for Plain {
    fn from_secret(text: &str) -> Result<Self, &'static str> {
        if text == "bad" { Err("it is bad") } else { Ok(Self(text.to_owned())) }
    }
}

async fn secret<T: FromSecret>(manager: &FakeSecrets) -> CachedSecret<T> {
    CachedSecret::from_secrets_manager(&sdk_config(&manager.uri()).await, "mdm", TTL)
}

fn after(seconds: i64) -> UtcDateTime {
    wednesday_morning() + Duration::seconds(seconds)
}

/// The value and its freshness at `now`.
async fn at(
    secret: &CachedSecret<Plain>,
    now: UtcDateTime,
) -> Result<(String, Freshness), SecretError> {
    secret.value(now).await.map(|served| (served.value.0.clone(), served.freshness))
}

fn fresh(text: &str) -> (String, Freshness) {
    (text.to_owned(), Freshness::Fresh)
}

#[tokio::test]
async fn the_secret_is_fetched_once_per_ttl() {
    let manager = FakeSecrets::holding("one").await;
    let secret = secret(&manager).await;
    for second in [0, 1, 1_800, 3_599] {
        assert_eq!(at(&secret, after(second)).await, Ok(fresh("one")));
    }
    manager.hold("two").await;
    assert_eq!(at(&secret, after(3_599)).await, Ok(fresh("one")));
    assert_eq!(at(&secret, after(3_600)).await, Ok(fresh("two")));
    assert_eq!(manager.asked().await, 1, "one request since the second value was put there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_waiting_requests_share_one_fetch() {
    let manager = FakeSecrets::slowly("one", Real::from_millis(200)).await;
    let secret = secret(&manager).await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let secret = secret.clone();
        tasks.spawn(async move { at(&secret, after(0)).await });
    }
    assert!(tasks.join_all().await.iter().all(|value| *value == Ok(fresh("one"))));
    assert_eq!(manager.asked().await, 1);
}

#[tokio::test]
async fn an_abandoned_refresh_does_not_block_later_requests() {
    let manager = FakeSecrets::slowly("one", Real::from_mins(1)).await;
    let secret = secret(&manager).await;
    let given_up = tokio::time::timeout(Real::from_millis(50), at(&secret, after(0))).await;
    assert!(given_up.is_err());
    manager.hold("two").await;
    assert_eq!(at(&secret, after(4)).await, Ok(fresh("two")));
}

#[tokio::test]
async fn an_outage_serves_the_old_value_for_one_more_ttl() {
    let manager = FakeSecrets::holding("one").await;
    let secret = secret(&manager).await;
    assert_eq!(at(&secret, after(0)).await, Ok(fresh("one")));
    manager.fail(500, "InternalServiceError").await;
    assert_eq!(at(&secret, after(3_600)).await, Ok(("one".to_owned(), Freshness::Stale)));
    assert_eq!(at(&secret, after(7_199)).await, Ok(("one".to_owned(), Freshness::Stale)));
    assert_eq!(
        at(&secret, after(7_210)).await,
        Err(SecretError::Unavailable("InternalServiceError".to_owned()))
    );
    manager.hold("two").await;
    assert_eq!(at(&secret, after(7_221)).await, Ok(fresh("two")));
}

#[tokio::test]
async fn after_a_failure_no_refresh_is_tried_for_ten_seconds() {
    let manager = FakeSecrets::holding("one").await;
    manager.fail(400, "AccessDeniedException").await;
    let secret = secret(&manager).await;
    let refused = Err(SecretError::Refused("AccessDeniedException".to_owned()));
    for _ in 0..20 {
        assert_eq!(at(&secret, after(0)).await, refused);
    }
    assert_eq!(manager.asked().await, 1);
    assert_eq!(at(&secret, after(10)).await, refused);
    assert_eq!(manager.asked().await, 2);
}

#[tokio::test]
async fn a_rejected_secret_is_refreshed_at_most_once_a_minute() {
    let manager = FakeSecrets::holding("one").await;
    let secret = secret(&manager).await;
    assert_eq!(at(&secret, after(0)).await, Ok(fresh("one")));
    manager.hold("two").await;
    for second in [1, 2, 60] {
        assert_eq!(secret.refreshed(after(second)).await.unwrap().value.0, "two");
    }
    assert_eq!(manager.asked().await, 1);
    manager.hold("three").await;
    assert_eq!(secret.refreshed(after(61)).await.unwrap().value.0, "three");
    assert_eq!(at(&secret, after(62)).await, Ok(fresh("three")));
}

#[tokio::test]
async fn malformed_and_binary_secrets_never_replace_a_good_one() {
    let manager = FakeSecrets::holding("bad").await;
    let first = secret(&manager).await;
    assert_eq!(at(&first, after(0)).await, Err(SecretError::Malformed("it is bad")));
    manager.hold_binary().await;
    let second = secret(&manager).await;
    assert!(matches!(at(&second, after(0)).await, Err(SecretError::Malformed(_))));
    manager.hold("one").await;
    assert_eq!(at(&second, after(10)).await, Ok(fresh("one")));
    manager.hold("bad").await;
    assert_eq!(at(&second, after(3_610)).await, Ok(("one".to_owned(), Freshness::Stale)));
}

#[test]
fn an_mdm_credential_is_a_token_or_client_credentials() {
    assert!(matches!(MdmCredential::from_secret(" token-123\n"), Ok(MdmCredential::Token(_))));
    let oauth = r#"{"client_id":"id","client_secret":"secret"}"#;
    assert!(matches!(MdmCredential::from_secret(oauth), Ok(MdmCredential::OAuth { .. })));
    for bad in [
        "",
        " ",
        "two words",
        "t\u{f6}ken",
        "{",
        "{}",
        r#"{"client_id":"id"}"#,
        r#"{"client_id":"","client_secret":"s"}"#,
        r#"{"client_id":"i","client_secret":""}"#,
        r#"{"client_id":"i","client_secret":"s","scope":"x"}"#,
    ] {
        assert!(MdmCredential::from_secret(bad).is_err(), "{bad}");
    }
}

/// THREAT: a secret is printed by a `Debug` of something that holds it, or quoted by an error about
/// it.
/// PREVENTION: caches, credentials and tokens print as redacted; errors have fixed words and AWS's
/// code.
#[tokio::test]
async fn security_secrets_are_not_printed() {
    let manager = FakeSecrets::holding("CANARY-token").await;
    let secret: CachedSecret<MdmCredential> = secret(&manager).await;
    let served = secret.value(after(0)).await.unwrap();
    let oauth = MdmCredential::from_secret(r#"{"client_id":"id","client_secret":"CANARY"}"#);
    let tokens = sentinel_tvm::ClientTokens::from_secret(
        "CANARY-10000000000000000000000000,CANARY-20000000000000000000000000",
    );
    assert!(!format!("{secret:?} {served:?} {oauth:?} {tokens:?}").contains(CANARY));
    manager.fail(400, "ResourceNotFoundException").await;
    let error = secret.value(after(7_200)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY));
    let malformed = MdmCredential::from_secret(r#"{"client_id":"CANARY","#).unwrap_err();
    assert!(!malformed.contains(CANARY));
}

/// THREAT: an administrator deletes a secret or takes away the permission to read it, and the
/// function uses the old value for another TTL.
/// PREVENTION: such a refusal ends the value's life at its TTL; only an outage prolongs it.
#[tokio::test]
async fn security_a_withdrawn_secret_ends_with_its_ttl() {
    for code in [
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidRequestException",
        "ResourceNotFoundException",
    ] {
        let manager = FakeSecrets::holding("one").await;
        let secret = secret(&manager).await;
        assert_eq!(at(&secret, after(0)).await, Ok(fresh("one")));
        manager.fail(400, code).await;
        assert_eq!(at(&secret, after(3_599)).await, Ok(fresh("one")));
        let refused = Err(SecretError::Refused(code.to_owned()));
        for second in [3_600, 3_605, 3_700] {
            assert_eq!(at(&secret, after(second)).await, refused, "{code} at {second}");
        }
        manager.fail(500, "InternalServiceError").await;
        assert!(at(&secret, after(3_720)).await.is_err(), "an outage does not bring it back");
        manager.hold("two").await;
        assert_eq!(at(&secret, after(3_740)).await, Ok(fresh("two")));
    }
}

#[tokio::test]
async fn a_cached_secret_prints_what_it_is() {
    let manager = FakeSecrets::holding("one").await;
    let secret: CachedSecret<Plain> = secret(&manager).await;
    assert_eq!(format!("{secret:?}"), "CachedSecret([REDACTED])");
}

/// The lines that `work` logs on this thread.
async fn logged(work: impl Future<Output = ()>) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    work.await;
    drop(guard);
    String::from_utf8(lines.lock().unwrap().clone()).unwrap()
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_failed_read_is_logged_with_the_secrets_name() {
    let manager = FakeSecrets::holding("one").await;
    manager.fail(500, "InternalServiceError").await;
    let remote = secret(&manager).await;
    let lines = logged(async {
        let _ = at(&remote, after(0)).await;
    });
    let lines = lines.await;
    assert!(lines.contains("a secret could not be refreshed"), "{lines}");
    assert!(lines.contains("secret=\"mdm\" has_old_value=false"), "{lines}");
    let fixed = CachedSecret::fixed("bad".to_owned().into());
    let lines = logged(async {
        let _ = at(&fixed, after(0)).await;
    });
    let lines = lines.await;
    assert!(lines.contains("secret=\"given at the start\""), "{lines}");
}
