//! Access tokens by client credentials (RFC 6749, section 4.4).
//!
//! Invariant: a token is used until shortly before it expires, and no longer. No lock is held while
//! a token is requested; requests that find none at the same time each request their own.

use super::http::{Http, HttpError};
use super::posture::PostureError;
use crate::clock::age;
use crate::lock::lock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::{Arc, Mutex};
use time::{Duration, UtcDateTime};
use url::Url;

/// A token is not used in its last minute, or in the second half of its life if that is shorter.
const MARGIN: Duration = Duration::seconds(60);

/// Where access tokens are requested.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    pub(super) url: Url,
    /// The scope to request, where the endpoint demands one.
    pub(super) scope: Option<String>,
}

/// The access token that is in use.
#[derive(Debug, Default)]
pub(super) struct AccessTokens(Mutex<Option<AccessToken>>);

#[derive(Debug)]
struct AccessToken {
    token: Arc<SecretString>,
    since: UtcDateTime,
    usable_for: Duration,
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    token_type: String,
    expires_in: u32,
}

impl AccessTokens {
    /// The token in use, or a new one.
    pub(super) async fn token(
        &self,
        http: &Http,
        endpoint: &TokenEndpoint,
        (client_id, client_secret): (&str, &SecretString),
        now: UtcDateTime,
    ) -> Result<Arc<SecretString>, HttpError> {
        let usable = |held: &&AccessToken| age(held.since, now) < held.usable_for;
        if let Some(held) = lock(&self.0).as_ref().filter(usable) {
            return Ok(Arc::clone(&held.token));
        }
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
        ];
        form.extend(endpoint.scope.as_deref().map(|scope| ("scope", scope)));
        let issued: Issued = http.post(endpoint.url.clone(), &form).await.map_err(rejected)?;
        if !issued.token_type.eq_ignore_ascii_case("bearer")
            || issued.access_token.expose_secret().is_empty()
        {
            return Err(PostureError::upstream("an access token that is not a bearer token").into());
        }
        let token = Arc::new(issued.access_token);
        let lifetime = Duration::seconds(issued.expires_in.into());
        let usable_for = lifetime - MARGIN.min(lifetime / 2);
        *lock(&self.0) = Some(AccessToken { token: Arc::clone(&token), since: now, usable_for });
        Ok(token)
    }

    /// Drops a token that was rejected, unless another has taken its place already.
    pub(super) fn forget(&self, rejected: &Arc<SecretString>) {
        let mut held = lock(&self.0);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.token, rejected)) {
            *held = None;
        }
    }
}

/// A wrong client secret is 401, or 400 with some servers (RFC 6749, section 5.2); a fresh one may
/// work.
fn rejected(error: HttpError) -> HttpError {
    match error {
        HttpError::Final(PostureError::Upstream { cause }) if cause == "HTTP 400" => {
            HttpError::Unauthorized
        }
        error => error,
    }
}
