//! The result of a device look-up, and why there is none.

use crate::device::Device;
use crate::secret::{Freshness, SecretError};
use serde::Serialize;
use std::borrow::Cow;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

/// The longest owner (an e-mail address, RFC 5321) and the longest version that are accepted.
const MAX_OWNER: usize = 254;
const MAX_VERSION: usize = 64;

/// A device as its management system describes it, and where that description comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posture {
    /// The device.
    pub device: Device,
    /// Whether the credential for the look-up was within its TTL.
    pub secret: Freshness,
    /// Where the description comes from.
    pub source: PostureSource,
}

/// Where a posture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PostureSource {
    /// A look-up for this request.
    Mdm,
    /// The posture cache.
    Cache,
}

/// Why a device's posture is not known. Never holds the system's own messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostureError {
    /// The system does not know the device.
    #[error("no such device")]
    UnknownDevice,
    /// The system knows more than one device of this identifier.
    #[error("more than one device has this identifier")]
    AmbiguousDevice,
    /// There is no credential for the system.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system did not answer as documented.
    #[error("the device-management system did not answer: {cause}")]
    Upstream {
        /// An HTTP status, or a kind of failure.
        cause: Cow<'static, str>,
    },
}

impl PostureError {
    pub(super) fn upstream(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::Upstream { cause: cause.into() }
    }
}

/// The only one of the devices that match.
pub(super) fn only<T>(matches: impl IntoIterator<Item = T>) -> Result<T, PostureError> {
    let mut matches = matches.into_iter();
    let first = matches.next().ok_or(PostureError::UnknownDevice)?;
    if matches.next().is_none() { Ok(first) } else { Err(PostureError::AmbiguousDevice) }
}

/// An address or principal name in lower case. Only ASCII is folded: other foldings would make
/// look-alikes equal.
pub(super) fn owner(text: Option<String>) -> Option<String> {
    let text = text?.trim().to_ascii_lowercase();
    let is_address = text.contains('@')
        && text.len() <= MAX_OWNER
        && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    is_address.then_some(text)
}

pub(super) fn version(text: Option<String>) -> Option<String> {
    text.filter(|text| {
        (1..=MAX_VERSION).contains(&text.len())
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    })
}

/// An RFC 3339 timestamp; a blank instead of the `T` is accepted.
pub(super) fn timestamp(text: Option<&str>) -> Option<UtcDateTime> {
    OffsetDateTime::parse(&text?.replacen(' ', "T", 1), &Rfc3339).ok().map(OffsetDateTime::to_utc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_all_providers_are_read() {
        let jamf = timestamp(Some("2026-03-04T10:20:00Z"));
        let intune = timestamp(Some("2026-03-04T02:20:00.0000000-08:00"));
        let kandji = timestamp(Some("2026-03-04 10:20:00.000000+00:00"));
        assert_eq!(jamf.map(UtcDateTime::unix_timestamp), Some(1_772_619_600));
        assert_eq!((jamf, jamf), (intune, kandji));
        assert_eq!(
            (timestamp(None), timestamp(Some("")), timestamp(Some("yesterday"))),
            (None, None, None)
        );
    }

    /// THREAT: a look-alike of somebody's address, such as one with the Kelvin sign, becomes that
    /// address in lower case. PREVENTION: only ASCII is folded, and what is no address is no owner.
    #[test]
    fn security_owners_are_folded_in_ascii_only() {
        let of = |text: &str| owner(Some(text.to_owned()));
        assert_eq!(of(" Kim@Example.COM ").as_deref(), Some("kim@example.com"));
        assert_ne!(of("\u{212a}im@example.com").as_deref(), Some("kim@example.com"));
        for none in [
            "",
            "kim",
            "kim@example.com\nx",
            "kim @example.com",
            &format!("{}@example.com", "k".repeat(300)),
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
