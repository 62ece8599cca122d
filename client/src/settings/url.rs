//! The URL of an end point.

use http::Uri;

use crate::failure::{Failure, quoted};

/// An `https` URL, or an `http` URL of this machine; without query, user or a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointUrl {
    scheme: &'static str,
    /// Host and port, as in the header `Host`, in lower case.
    authority: String,
    /// The path before `/v1/…`, such as the stage of an API; mostly empty.
    path: String,
}

impl EndpointUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::settings(
                format!("the URL `{}` {why}", quoted(text)),
                "write it as in https://abc.lambda-url.eu-central-1.on.aws",
            )
        };
        let uri: Uri = text.trim().parse().map_err(|_| wrong("is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            // The text is not shown: it may hold a password.
            return Err(Failure::settings(
                "the URL of the end point has a user, a password or a query",
                "remove it; the client token goes into client_token_file",
            ));
        }
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") if is_loopback(authority.host()) => "http",
            Some("http") => return Err(wrong("is not encrypted")),
            _ => return Err(wrong("does not begin with https://")),
        };
        Ok(Self {
            scheme,
            authority: authority.as_str().to_ascii_lowercase(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The URL of a path at this end point.
    pub(crate) fn at(&self, path_and_query: &str) -> String {
        format!("{}://{}{}{path_and_query}", self.scheme, self.authority, self.path)
    }

    /// Host and port, as in the header `Host`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The region, if the host is one of Lambda's or API Gateway's.
    pub(crate) fn region(&self) -> Option<&str> {
        let labels: Vec<&str> = self.authority.split('.').collect();
        match labels[..] {
            [_, "lambda-url" | "execute-api", region, _, _, ..] => Some(region),
            _ => None,
        }
    }

    /// The service name of the signature.
    pub(crate) fn service(&self) -> &'static str {
        if self.authority.split('.').nth(1) == Some("execute-api") {
            "execute-api"
        } else {
            "lambda"
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
