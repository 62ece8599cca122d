//! The access keys that callers on this machine may sign with, and whose they are.
//!
//! ```json
//! [{
//!   "access_key_id": "ASIA…", "secret_access_key": "…", "session_token": "…",
//!   "user_arn": "arn:aws:sts::123456789012:assumed-role/Developer/alice",
//!   "account_id": "123456789012", "user_id": "AROA…:alice", "principal_org_id": null
//! }]
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// One access key and the identity AWS would report for it. Not `Debug`: it holds a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signer {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// Set for temporary keys; a request must then carry exactly this token.
    pub(crate) session_token: Option<String>,
    pub(crate) user_arn: String,
    pub(crate) account_id: String,
    pub(crate) user_id: String,
    pub(crate) principal_org_id: Option<String>,
}

/// All known keys.
pub(crate) struct Keys(Vec<Signer>);

/// Why the keys file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum KeysError {
    #[error("cannot read KEYS={path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("KEYS={path} is not a list of keys: {source}")]
    Malformed { path: PathBuf, source: serde_json::Error },
}

impl Keys {
    /// Reads the keys from the JSON file at `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, KeysError> {
        let text = fs::read(path)
            .map_err(|source| KeysError::Unreadable { path: path.to_owned(), source })?;
        serde_json::from_slice(&text)
            .map(Self)
            .map_err(|source| KeysError::Malformed { path: path.to_owned(), source })
    }

    /// Whose key this id is. Ids are not secret, so an ordinary comparison does.
    pub(crate) fn find(&self, access_key_id: &str) -> Option<&Signer> {
        self.0.iter().find(|signer| signer.access_key_id == access_key_id)
    }
}

#[cfg(test)]
impl From<Vec<Signer>> for Keys {
    fn from(keys: Vec<Signer>) -> Self {
        Self(keys)
    }
}
