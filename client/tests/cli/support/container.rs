use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Status and body of what an AWS SDK sends to a container end point.
pub(crate) fn container(url: &str, token: &str) -> (u16, String) {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    raw(
        host,
        &format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        ),
    )
}

/// Status and body of the reply to a request, as it is.
pub(crate) fn raw(host: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = reply.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
    (status, body)
}
