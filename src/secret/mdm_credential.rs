//! What the device-management system is asked with.

use super::FromSecret;
use secrecy::SecretString;
use serde::Deserialize;

/// A bearer token, or what an OAuth token is had for.
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
            let empty = client_id.is_empty()
                || secrecy::ExposeSecret::expose_secret(&client_secret).is_empty();
            return if empty {
                Err("client_id or client_secret is empty")
            } else {
                Ok(Self::OAuth { client_id, client_secret })
            };
        }
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token {
            Ok(Self::Token(text.into()))
        } else {
            Err("a token is printable ASCII without blanks")
        }
    }
}
