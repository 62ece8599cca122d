//! AWS Signature Version 4 in headers.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::body::SdkBody;

use crate::clock;
use crate::failure::{Exit, Failure};

/// For which region and service a signature is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub(crate) region: &'s str,
    pub(crate) service: &'s str,
}

/// A request with a text body, signed with all its headers.
pub(crate) fn signed(
    mut request: http::Request<String>,
    scope: Scope<'_>,
    credentials: &Credentials,
) -> Result<http::Request<SdkBody>, Failure> {
    let instructions = instructions(&request, scope, credentials).ok_or_else(|| {
        Failure::new(Exit::Defect, "the request cannot be signed", "report this as a defect")
    })?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.map(SdkBody::from))
}

fn instructions(
    request: &http::Request<String>,
    scope: Scope<'_>,
    credentials: &Credentials,
) -> Option<aws_sigv4::http_request::SigningInstructions> {
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(clock::now())
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let headers: Option<Vec<_>> = request
        .headers()
        .iter()
        .map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.uri().to_string(),
        headers?.into_iter(),
        SignableBody::Bytes(request.body().as_bytes()),
    );
    Some(sign(signable.ok()?, &parameters).ok()?.into_parts().0)
}
