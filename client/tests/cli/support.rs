//! A home directory, a stub end point, and the program.

mod container;
mod home;
mod stub;
mod tls;

pub(crate) use container::{container, raw};
pub(crate) use home::{Home, Ran};
pub(crate) use stub::{Answer, Stub, closed_port, silent};
pub(crate) use tls::TlsStub;

/// What must never be on standard error: the keys that sign, and the ones that are vended.
pub(crate) const SECRETS: [&str; 5] =
    [SIGNING_KEY, SIGNING_TOKEN, VENDED_KEY, VENDED_TOKEN, CLIENT_TOKEN];

pub(crate) const SIGNING_KEY: &str = "signing-secret-key";
pub(crate) const SIGNING_TOKEN: &str = "signing-session-token";
pub(crate) const VENDED_KEY: &str = "vended-secret-key";
pub(crate) const VENDED_TOKEN: &str = "vended-session-token";
pub(crate) const CLIENT_TOKEN: &str = "client-token-of-thirty-two-characters";

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tests choose when credentials expire")]
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A time in RFC 3339.
pub(crate) fn rfc3339(at: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}
