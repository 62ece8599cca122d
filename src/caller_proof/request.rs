//! The caller's signed headers in place of the function's own.

use aws_sdk_sts::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// What the function's own signature consists of.
const OWN_SIGNATURE: [&str; 4] =
    ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

/// Signed headers of a `GetCallerIdentity` request. The SDK builds, sends and reads it; this puts
/// the caller's signature in place of the function's.
pub(super) struct SignedHeaders(Vec<(&'static str, SecretString)>);

impl fmt::Debug for SignedHeaders {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SignedHeaders([REDACTED])")
    }
}

impl SignedHeaders {
    pub(super) fn new(headers: impl Iterator<Item = (&'static str, SecretString)>) -> Self {
        Self(headers.collect())
    }
}

impl Intercept for SignedHeaders {
    fn name(&self) -> &'static str {
        "SignedHeaders"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        for name in OWN_SIGNATURE {
            headers.remove(name);
        }
        for (name, value) in &self.0 {
            headers.try_insert(*name, value.expose_secret().to_owned())?;
        }
        Ok(())
    }
}
