//! The credential for the device-management system.

use crate::alphabet::is_printable;
use crate::secret::FromSecret;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// A bearer token, or client credentials to exchange for one.
#[derive(Debug)]
pub enum MdmCredential {
    /// A token that is sent as it is.
    Token(SecretString),
    /// Client credentials (RFC 6749, section 4.4).
    OAuth {
        /// Not a secret.
        client_id: String,
        /// The secret.
        client_secret: SecretString,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientCredentials {
    client_id: String,
    client_secret: SecretString,
}

impl FromSecret for MdmCredential {
    /// A plain token, or JSON `{"client_id","client_secret"}`.
    fn from_secret(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.starts_with('{') {
            let malformed =
                "it begins like JSON but is not an object of client_id and client_secret";
            let ClientCredentials { client_id, client_secret } =
                serde_json::from_str(text).map_err(|_| malformed)?;
            let empty = client_id.is_empty() || client_secret.expose_secret().is_empty();
            return if empty {
                Err("client_id or client_secret is empty")
            } else {
                Ok(Self::OAuth { client_id, client_secret })
            };
        }
        if is_printable(text) {
            Ok(Self::Token(text.into()))
        } else {
            Err("a token is printable ASCII without blanks")
        }
    }
}
