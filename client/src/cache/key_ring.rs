//! The key ring of the operating system: Keychain, Credential Manager, or the kernel's keyrings on Linux.
//!
//! A failure of the key ring is a [`Problem`] for the cache and an error for the client token.

use super::{Entry, Key, Problem};

/// The service name of all items.
const SERVICE: &str = "sentinel";

/// Why the key ring did not do it. The key ring's own words can hold data, so they are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRingError {
    /// There is no such item.
    Absent,
    /// The item is larger than the key ring allows.
    TooLarge,
    /// There is no key ring, it is locked, or it refused.
    Unusable,
}

impl std::fmt::Display for KeyRingError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "the key ring has no such item",
            Self::TooLarge => "the key ring does not take items of this size",
            Self::Unusable => {
                "the key ring of this operating system is absent or locked, or refused"
            }
        })
    }
}

/// One item of the key ring.
#[derive(Debug)]
pub(crate) struct KeyRing {
    item: String,
}

impl KeyRing {
    /// The item of a cache key.
    fn entry(key: &Key) -> Self {
        Self::of_file_stem(&key.file_stem())
    }

    /// The item of a cache key whose files have this name.
    pub(super) fn of_file_stem(stem: &str) -> Self {
        Self { item: format!("cache {stem}") }
    }

    /// The item of the client token for an end point.
    pub(crate) fn client_token(authority: &str) -> Self {
        Self { item: format!("client token {authority}") }
    }
}

impl KeyRing {
    pub(crate) fn read(&self) -> Result<Vec<u8>, KeyRingError> {
        self.open()?.get_secret().map_err(|error| reason(&error))
    }

    pub(crate) fn write(&self, secret: &[u8]) -> Result<(), KeyRingError> {
        self.open()?.set_secret(secret).map_err(|error| reason(&error))
    }

    pub(crate) fn remove(&self) -> Result<(), KeyRingError> {
        self.open()?.delete_credential().map_err(|error| reason(&error))
    }

    fn open(&self) -> Result<keyring_core::Entry, KeyRingError> {
        if keyring_core::get_default_store().is_none() {
            keyring_core::set_default_store(platform_store().ok_or(KeyRingError::Unusable)?);
        }
        keyring_core::Entry::new(SERVICE, &self.item).map_err(|error| reason(&error))
    }
}

fn platform_store() -> Option<std::sync::Arc<keyring_core::CredentialStore>> {
    #[cfg(target_os = "linux")]
    return Some(linux_keyutils_keyring_store::Store::new().ok()?);
    #[cfg(target_os = "macos")]
    return Some(apple_native_keyring_store::keychain::Store::new().ok()?);
    #[cfg(windows)]
    return Some(windows_native_keyring_store::Store::new().ok()?);
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    None
}

fn reason(error: &keyring_core::Error) -> KeyRingError {
    match error {
        keyring_core::Error::NoEntry => KeyRingError::Absent,
        keyring_core::Error::TooLong(..) => KeyRingError::TooLarge,
        _ => KeyRingError::Unusable,
    }
}

pub(super) fn read(key: &Key) -> Result<Option<Entry>, Problem> {
    match KeyRing::entry(key).read() {
        Ok(text) => Entry::parse(&text).map(Some).map_err(|_| {
            Problem("the key ring's item is damaged or of another version".to_owned())
        }),
        Err(KeyRingError::Absent) => Ok(None),
        Err(error) => Err(Problem(error.to_string())),
    }
}

pub(super) fn write(key: &Key, entry: &Entry) -> Result<(), Problem> {
    let written = KeyRing::entry(key).write(entry.to_json().as_bytes());
    written.map_err(|error| Problem(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Shared;
    use crate::credentials::tests::example;
    use crate::environment::Environment;
    use crate::settings::Endpoint;
    use crate::wanted::Wanted;

    fn key(profile: &str) -> Key {
        let environment =
            Environment::from([("SENTINEL_URL", "https://a.lambda-url.eu-west-1.on.aws")]);
        let endpoint = Endpoint::select(&Shared::default(), &environment).unwrap();
        let wanted = Wanted { profile: profile.to_owned(), ..Wanted::default() };
        Key::new(&endpoint, &wanted, &environment)
    }

    #[test]
    fn an_entry_is_found_again_and_can_be_removed() {
        keyring_core::set_default_store(keyring_core::mock::Store::new().unwrap());
        assert!(read(&key("a")).unwrap().is_none());
        write(&key("a"), &Entry { issued: 0, credentials: example(1000) }).unwrap();
        assert_eq!(read(&key("a")).unwrap().unwrap().credentials.expires, 1000);
        assert!(read(&key("b")).unwrap().is_none());

        KeyRing::entry(&key("a")).write(b"damaged").unwrap();
        assert!(read(&key("a")).unwrap_err().0.contains("damaged"));
        KeyRing::of_file_stem(&key("a").file_stem()).remove().unwrap();
        assert_eq!(KeyRing::entry(&key("a")).read(), Err(KeyRingError::Absent));
    }
}
