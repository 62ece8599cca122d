//! Access tokens by client credentials (RFC 6749, section 4.4).
//!
//! Invariant: a token is used until shortly before it expires, judged by `now`, and no longer. No lock is held while one is
//! asked for; requests that find none at the same time each ask for their own.

use super::http::{Failure, Http};
use super::posture::PostureError;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::{Duration, UtcDateTime};

/// A token is not used this close to its end, or in the second half of its life if that is shorter.
const MARGIN: Duration = Duration::seconds(60);

/// Where tokens are had.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    pub(super) url: Url,
    /// What the token is for, where the endpoint wants to know.
    pub(super) scope: Option<String>,
}

/// The access token that is in use.
#[derive(Debug, Default)]
pub(super) struct AccessTokens(Mutex<Option<AccessToken>>);

#[derive(Debug)]
struct AccessToken {
    token: Arc<SecretString>,
    until: UtcDateTime,
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
    ) -> Result<Arc<SecretString>, Failure> {
        if let Some(held) = self.lock().as_ref().filter(|held| now < held.until) {
            return Ok(Arc::clone(&held.token));
        }
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
        ];
        form.extend(endpoint.scope.as_deref().map(|scope| ("scope", scope)));
        let issued: Issued = http.post(endpoint.url.clone(), &form).await.map_err(refused)?;
        if !issued.token_type.eq_ignore_ascii_case("bearer")
            || issued.access_token.expose_secret().is_empty()
        {
            return Err(PostureError::upstream("an access token that is no bearer token").into());
        }
        let token = Arc::new(issued.access_token);
        let lifetime = Duration::seconds(issued.expires_in.into());
        let until = now + lifetime - MARGIN.min(lifetime / 2);
        *self.lock() = Some(AccessToken { token: Arc::clone(&token), until });
        Ok(token)
    }

    /// Drops a token that was rejected, unless another has taken its place already.
    pub(super) fn forget(&self, rejected: &Arc<SecretString>) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.token, rejected)) {
            *held = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<AccessToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wrong secret is 401, and with some also 400 (RFC 6749, section 5.2): a refreshed one may do.
fn refused(failure: Failure) -> Failure {
    match failure {
        Failure::Final(PostureError::Upstream { cause }) if cause == "HTTP 400" => {
            Failure::Unauthorized
        }
        failure => failure,
    }
}
