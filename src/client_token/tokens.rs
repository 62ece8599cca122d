//! The tokens themselves, and their comparison in constant time.

use crate::alphabet::is_printable;
use crate::secret::FromSecret;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// The length of the shortest token that is accepted: 128 bits in hexadecimal digits.
const SHORTEST: usize = 32;

/// The valid tokens: several, so that old and new ones overlap while clients change over.
///
/// Only their SHA-256 digests are kept. [`verify`](Self::verify) compares the presented token's
/// digest with every one of them in constant time, so that its duration reveals neither how much of
/// a token is right nor which one matched.
pub struct ClientTokens(Vec<[u8; 32]>);

/// The request carries no token, or none of the valid ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client token is missing or wrong")]
pub struct ClientTokenInvalid;

impl ClientTokens {
    /// Checks the presented token; a missing one counts as empty.
    pub fn verify(&self, presented: Option<&str>) -> Result<(), ClientTokenInvalid> {
        let presented = digest(presented.unwrap_or_default());
        let matches =
            self.0.iter().fold(Choice::from(0), |found, valid| found | valid.ct_eq(&presented));
        if matches.into() { Ok(()) } else { Err(ClientTokenInvalid) }
    }
}

impl FromSecret for ClientTokens {
    /// Comma-separated tokens of at least 32 characters; blanks around one are dropped.
    fn from_secret(text: &str) -> Result<Self, &'static str> {
        let tokens: Vec<&str> = text.split(',').map(str::trim).collect();
        if text.trim_start().starts_with('{') || !tokens.iter().all(|token| is_printable(token)) {
            return Err(
                "it is not a comma-separated list of tokens in printable ASCII, none of them empty",
            );
        }
        if tokens.iter().any(|token| token.len() < SHORTEST) {
            return Err("a client token is shorter than 32 characters");
        }
        Ok(Self(tokens.into_iter().map(digest).collect()))
    }
}

impl fmt::Debug for ClientTokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientTokens({} [REDACTED])", self.0.len())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old-token-0123456789abcdef012345";
    const NEW: &str = "new-token-0123456789abcdef012345";

    #[test]
    fn each_of_several_tokens_is_valid_and_nothing_else() {
        let tokens = ClientTokens::from_secret(&format!("{OLD}, {NEW}")).unwrap();
        for valid in [OLD, NEW] {
            assert_eq!(tokens.verify(Some(valid)), Ok(()));
        }
        let (both, spaced) = (format!("{OLD},{NEW}"), format!("{OLD}, {NEW}"));
        let wrong = ["", &OLD[1..], &format!("{OLD}x"), &OLD.to_uppercase(), &both, &spaced];
        for wrong in wrong {
            assert_eq!(tokens.verify(Some(wrong)), Err(ClientTokenInvalid), "{wrong}");
        }
        assert_eq!(tokens.verify(None), Err(ClientTokenInvalid));
    }

    /// THREAT: a token that is short enough to guess.
    /// PREVENTION: a secret with a token below 32 characters is malformed.
    #[test]
    fn security_short_tokens_are_no_tokens() {
        assert!(ClientTokens::from_secret(&OLD[1..]).is_err());
        assert!(ClientTokens::from_secret(&format!("{OLD},guess")).is_err());
        assert!(ClientTokens::from_secret(OLD).is_ok());
    }

    /// THREAT: an empty secret, or an empty item in it, makes an empty or missing header valid.
    /// PREVENTION: such a secret is malformed.
    #[test]
    fn security_empty_tokens_are_no_tokens() {
        for text in ["", " ", ",", "a,", ",a", "a,,b", "a, ,b", "a b", r#"{"token":"a"}"#] {
            assert!(ClientTokens::from_secret(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_that_is_listed_twice_is_valid() {
        let tokens = ClientTokens::from_secret(&format!("{OLD},{NEW},{OLD}")).unwrap();
        assert_eq!([OLD, NEW].map(|token| tokens.verify(Some(token))), [Ok(()), Ok(())]);
    }

    /// THREAT: the secret is JSON by mistake, and its text, which its documentation may show, is
    /// the token.
    /// PREVENTION: such a secret is malformed, however long.
    #[test]
    fn security_json_is_no_token() {
        for json in [format!("{{\"token\":\"{OLD}\"}}"), format!(" {{\"token\":\"{OLD}\"}}")] {
            assert!(ClientTokens::from_secret(&json).is_err(), "{json}");
        }
        assert!(ClientTokens::from_secret(&format!("{OLD} {OLD}")).is_err());
    }

    #[test]
    fn tokens_print_their_number() {
        let tokens = ClientTokens::from_secret(&format!("{OLD},{NEW}")).unwrap();
        assert_eq!(format!("{tokens:?}"), "ClientTokens(2 [REDACTED])");
    }
}
