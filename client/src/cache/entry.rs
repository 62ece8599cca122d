//! One entry of the cache, and how old it is.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::UnixSeconds;
use crate::credentials::Credentials;

/// The version of an entry's form.
const VERSION: u32 = 1;

/// Credentials are refreshed this long before they expire, or a fifth of their life, whichever is less.
const MOST_AHEAD: i64 = 300;

/// Credentials, and when they were vended.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) issued: UnixSeconds,
    pub(crate) credentials: Credentials,
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Use it.
    Fresh,
    /// Use it if it cannot be refreshed.
    Aging,
    /// Do not use it.
    Expired,
}

/// Why text is not an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged,
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct Stored<'e> {
    version: u32,
    issued: UnixSeconds,
    #[serde(borrow)]
    credentials: &'e RawValue,
}

/// Read first: another version may have other fields.
#[derive(Deserialize)]
struct OnlyVersion {
    version: u32,
}

impl Entry {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        let OnlyVersion { version } =
            serde_json::from_slice(text).map_err(|_| Unreadable::Damaged)?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let stored: Stored<'_> = serde_json::from_slice(text).map_err(|_| Unreadable::Damaged)?;
        let credentials = Credentials::parse(stored.credentials.get().as_bytes());
        Ok(Self { issued: stored.issued, credentials: credentials.ok_or(Unreadable::Damaged)? })
    }

    pub(crate) fn to_json(&self) -> String {
        let credentials = RawValue::from_string(self.credentials.to_process_json());
        let stored = |credentials: &RawValue| {
            serde_json::to_string(&Stored { version: VERSION, issued: self.issued, credentials })
        };
        credentials.and_then(|credentials| stored(&credentials)).unwrap_or_default()
    }

    /// How old the entry is at `now`. A clock that was set back makes an entry old, not young.
    pub(crate) fn age(&self, now: UnixSeconds) -> Age {
        let expires = self.credentials.expires;
        let ahead = MOST_AHEAD.min((expires - self.issued).max(0) / 5);
        if now >= expires {
            Age::Expired
        } else if now >= expires - ahead || now < self.issued - MOST_AHEAD {
            Age::Aging
        } else {
            Age::Fresh
        }
    }
}
