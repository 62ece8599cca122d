//! Secrets Manager: the client secret of the device management, and the client tokens. Both rotate.

use super::front::{Reply, json};
use crate::lock;
use serde_json::{Value, json};
use std::sync::Mutex;

/// Every secret contains this word, and no log and no reply may.
pub(crate) const CANARY: &str = "CANARY";

pub(crate) struct Secrets(Mutex<State>);

struct State {
    mdm: u32,
    /// The oldest token that is accepted, and the newest.
    tokens: (u32, u32),
    /// The token that callers send.
    in_use: u32,
}

impl Secrets {
    /// The secrets' names.
    pub(crate) const MDM: &str = "soak/mdm";
    pub(crate) const TOKENS: &str = "soak/tokens";

    pub(super) fn new() -> Self {
        Self(State { mdm: 0, tokens: (0, 0), in_use: 0 }.into())
    }

    /// The device management gets a new client secret, and no longer accepts the old one.
    pub(crate) fn rotate_mdm(&self) {
        lock(&self.0).mdm += 1;
    }

    /// The number of the client secret that the device management accepts.
    pub(super) fn mdm(&self) -> u32 {
        lock(&self.0).mdm
    }

    /// Adds a client token. Callers do not send it yet.
    pub(crate) fn add_token(&self) {
        lock(&self.0).tokens.1 += 1;
    }

    /// From now on, callers send the newest token.
    pub(crate) fn hand_out_token(&self) {
        let mut state = lock(&self.0);
        state.in_use = state.tokens.1;
    }

    /// Removes all tokens but the newest.
    pub(crate) fn remove_old_tokens(&self) {
        let mut state = lock(&self.0);
        state.tokens.0 = state.tokens.1;
    }

    /// The token that callers send now.
    pub(crate) fn token(&self) -> String {
        token(lock(&self.0).in_use)
    }
}

fn token(number: u32) -> String {
    format!("{CANARY}-client-token-{number:020}")
}

/// The client secret of this number.
pub(super) fn client_secret(number: u32) -> String {
    format!("{CANARY}-client-secret-{number}")
}

pub(super) fn answer(secrets: &Secrets, body: &[u8]) -> Reply {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let state = lock(&secrets.0);
    let text = match request["SecretId"].as_str() {
        Some(Secrets::MDM) => {
            json!({ "client_id": "soak", "client_secret": client_secret(state.mdm) }).to_string()
        }
        _ => (state.tokens.0..=state.tokens.1).map(token).collect::<Vec<_>>().join(","),
    };
    json(200, &json!({ "Name": request["SecretId"], "SecretString": text }))
}
