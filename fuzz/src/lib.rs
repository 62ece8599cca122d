//! Shared by the targets: how to make callers, and what STS accepts.

use sentinel_tvm::{Caller, Grant, IamIdentity, NamedSessionRoles, Unauthenticated};
use serde_json::Value;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use time::{Duration, UtcDateTime};

/// The function's own account.
pub const ACCOUNT: &str = "123456789012";

/// The caller with this ARN, if it is a caller's.
pub fn verified(
    arn: &str,
    org: Option<&str>,
    ip: Option<IpAddr>,
) -> Result<Caller, Unauthenticated> {
    let identity = IamIdentity { org: org.map(Into::into), ..IamIdentity::of_arn(arn) };
    let named = NamedSessionRoles::default();
    Caller::verified(&identity, ip, named.of_function_in(Some(ACCOUNT)))
}

/// The caller with this ARN, of an organization and with an address.
///
/// # Panics
///
/// If the ARN is not a caller's.
#[must_use]
pub fn caller(arn: &str) -> Caller {
    verified(arn, Some("o-example000"), Some(Ipv4Addr::new(198, 51, 100, 7).into())).unwrap()
}

/// 2 March 2026, a Monday, 12:00 UTC.
#[must_use]
pub fn monday_noon() -> UtcDateTime {
    UtcDateTime::UNIX_EPOCH + Duration::seconds(1_772_452_800)
}

/// The output of a future that waits for nothing.
///
/// # Panics
///
/// If the future waits.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}

/// Checks what is true of every caller.
///
/// # Panics
///
/// If a check fails.
pub fn check_caller(caller: &Caller) {
    assert!(is_sts_name(&caller.source_identity()), "{caller:?}");
    assert!(is_sts_name(&caller.session_name_for("01234567")), "{caller:?}");
    assert!(
        caller.account().len() == 12 && caller.account().bytes().all(|byte| byte.is_ascii_digit()),
        "{caller:?}"
    );
    assert!(caller.arn().starts_with(caller.principal().as_str()), "{caller:?}");
    assert!(caller.source_ip().is_none_or(|ip| ip == ip.to_canonical()), "{caller:?}");
}

/// Checks every grant against STS's own patterns and limits, as in the aws-sdk-sts model.
///
/// # Panics
///
/// If a check fails.
pub fn check_grant(grant: &Grant) {
    let scope = grant.scope();
    assert!(is_sts_name(grant.session_name()) && is_sts_name(grant.source_identity()), "{grant:?}");
    assert!((900..=3_600).contains(&grant.duration().seconds()), "{grant:?}");
    assert!((20..=2_048).contains(&grant.role_arn().len()), "{grant:?}");

    let keys: HashSet<String> =
        scope.tags.iter().map(|(key, _)| key.to_ascii_lowercase()).collect();
    assert!(scope.tags.len() <= 50 && keys.len() == scope.tags.len(), "{grant:?}");
    for (key, value) in &scope.tags {
        assert!(
            (1..=128).contains(&key.len()) && is_tag_text(key) && !key.starts_with("aws:"),
            "{grant:?}"
        );
        assert!(is_tag_value(value), "{grant:?}");
    }
    let transitive: HashSet<&String> = scope.transitive_tags.iter().collect();
    assert!(transitive.len() == scope.transitive_tags.len(), "{grant:?}");
    assert!(
        transitive.iter().all(|key| scope.tags.iter().any(|(known, _)| known == *key)),
        "{grant:?}"
    );

    assert!(scope.policy_arns.len() <= 10, "{grant:?}");
    assert!(scope.policy_arns.iter().all(|arn| (20..=2_048).contains(&arn.len())), "{grant:?}");
    assert!(are_session_policies(scope.policy.as_deref(), &scope.policy_arns), "{grant:?}");
    if let Some(policy) = &scope.policy {
        serde_json::from_str::<Value>(policy).unwrap();
    }
}

/// Whether STS accepts the characters and the total length of these session policies.
#[must_use]
pub fn are_session_policies(inline: Option<&str>, arns: &[String]) -> bool {
    let length = inline.map_or(0, |policy| policy.chars().count())
        + arns.iter().map(String::len).sum::<usize>();
    length <= 2_048
        && inline.is_none_or(|policy| {
            !policy.is_empty() && policy.chars().all(|c| (' '..='\u{ff}').contains(&c))
        })
}

/// Whether the function accepts the text as the value of a tag. STS would accept letters and digits
/// of any script.
#[must_use]
pub fn is_tag_value(text: &str) -> bool {
    text.len() <= 256 && is_tag_text(text)
}

fn is_tag_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&byte))
}

/// Whether the text is a source identity or a role session name: `[\w+=,.@-]{2,64}`.
fn is_sts_name(text: &str) -> bool {
    (2..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}
