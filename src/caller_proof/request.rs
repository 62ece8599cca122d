//! The caller's signed headers in place of the function's own.

use aws_sdk_sts::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::BoxError;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Signed headers of a `GetCallerIdentity` request. The SDK builds, sends and reads it; this puts
/// the caller's headers in place of the function's. AWS refuses requests with unsigned `x-amz-*`
/// headers, of which the SDK adds some.
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
        let own: Vec<String> = headers.iter().map(|(name, _)| name.to_owned()).collect();
        for name in own.iter().filter(|name| *name != "content-length") {
            headers.remove(name.as_str());
        }
        for (name, value) in &self.0 {
            headers.try_insert(*name, value.expose_secret().to_owned())?;
        }
        Ok(())
    }
}
