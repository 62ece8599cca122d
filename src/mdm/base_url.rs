//! The address of a device-management system.

use std::net::IpAddr;
use url::Url;

/// The base of a system's API: `https`, or `http` on this machine, so that a token never travels in
/// the clear.
///
/// Loopback is `localhost`, `::1` and 127.0.0.0/8. There are no credentials, query or fragment in
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads a base URL. A path is kept, a slash at its end is dropped.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut url = Url::parse(text).map_err(|_| "it is not an absolute URL")?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials || url.query().is_some() || url.fragment().is_some() {
            return Err("it has credentials, a query or a fragment");
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let base = Self(url);
        match base.0.scheme() {
            "https" => Ok(base),
            "http" if base.is_loopback() => Ok(base),
            _ => Err("it is neither https nor http on loopback"),
        }
    }

    /// Whether it points to this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host().trim_matches(['[', ']']).parse::<IpAddr>();
        self.host() == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The URL of a path below the base. Names and values of the query are percent-encoded, blanks
    /// as `%20`, which every server takes for a blank.
    pub(super) fn at(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        if !query.is_empty() {
            let pairs: Vec<String> = query
                .iter()
                .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
                .collect();
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }
}

fn encoded(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// THREAT: the token of the device-management system travels in the clear, or a URL smuggles in
    /// another host. PREVENTION: only https, or http on this machine, and nothing but an origin and
    /// a path.
    #[test]
    fn security_only_https_or_loopback() {
        for good in [
            "https://mdm.example.com",
            "https://mdm.example.com/",
            "https://mdm.example.com:8443/jamf/",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:8080/",
            "http://localhost:8080",
        ] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "mdm.example.com",
            "http://mdm.example.com",
            "HTTP://mdm.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@mdm.example.com",
            "http://10.0.0.1",
            "http://[::2]",
            "http://[::ffff:10.0.0.1]",
            "https://user@mdm.example.com",
            "https://user:pass@mdm.example.com",
            "https://mdm.example.com?a=b",
            "https://mdm.example.com/#a",
            "ftp://mdm.example.com",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_kept_and_a_query_is_encoded() {
        let base = BaseUrl::parse("https://mdm.example.com/jamf/").unwrap();
        let url = base.at("/api/x", &[("$filter", "a eq 'b&c+d'")]);
        assert_eq!(
            url.as_str(),
            "https://mdm.example.com/jamf/api/x?%24filter=a%20eq%20%27b%26c%2Bd%27"
        );
        assert_eq!(
            BaseUrl::parse("https://mdm.example.com/").unwrap().at("/api", &[]).as_str(),
            "https://mdm.example.com/api"
        );
    }
}
