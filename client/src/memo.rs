//! What an end point said of itself, remembered for a day: whether it accepts caller proofs.
//!
//! Invariant: nothing here is secret, and nothing here is trusted: a wrong memo costs one refused request, after which the end
//! point is asked again.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

use crate::cache::{Directory, write_new_private};
use crate::clock::{self, UnixSeconds};
use crate::endpoint::Client;
use crate::hex::hex;

/// How long a memo is believed.
const DAY: UnixSeconds = 24 * 60 * 60;

/// Whether a memo will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Remembered,
    AskAgain,
}

#[derive(Serialize, Deserialize)]
struct Memo {
    at: UnixSeconds,
    accepts_proof: bool,
}

/// The part of `/v1/health` that matters here.
#[derive(Deserialize)]
struct Health {
    caller_proof: Option<String>,
}

/// Whether the end point accepts caller proofs. No answer counts as no.
pub(crate) async fn accepts_proof(client: &Client<'_>, memory: Use) -> bool {
    let path = path(client);
    let now = clock::unix_now();
    let remembered =
        path.as_deref().and_then(read).filter(|memo| (0..DAY).contains(&(now - memo.at)));
    if let Some(memo) = remembered.filter(|_| memory == Use::Remembered) {
        return memo.accepts_proof;
    }
    let Ok(Ok(reply)) = client.send("/v1/health").await else { return false };
    let Ok(health) = serde_json::from_slice::<Health>(&reply.body) else { return false };
    let accepts = matches!(health.caller_proof.as_deref(), Some("accepted" | "required"));
    if let Some(path) = path.filter(|_| reply.status == 200) {
        write(&path, &Memo { at: now, accepts_proof: accepts });
    }
    accepts
}

fn path(client: &Client<'_>) -> Option<PathBuf> {
    let directory = Directory::of(client.environment).ok()?;
    directory.create().ok()?;
    let digest = Sha256::digest(client.endpoint.url.at("").as_bytes());
    Some(directory.memo(&hex(&digest[..16])))
}

fn read(path: &Path) -> Option<Memo> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes a memo. If that fails, the end point is asked again next time.
fn write(path: &Path, memo: &Memo) {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let Ok(text) = serde_json::to_vec(memo) else { return };
    let written = write_new_private(&new, &text).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
}
