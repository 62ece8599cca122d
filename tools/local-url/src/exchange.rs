//! One HTTP/1.1 request and its response on one connection, which then closes.
//!
//! Why not hyper's server: its feature `server` is off in the function. If it were on here, cargo
//! would compile hyper, and the AWS SDK above it, once for the function and once more for this
//! program.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, Version};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, sink};
use tokio::time::timeout;

/// The largest request that Lambda accepts.
const MAX_BODY: usize = 6 * 1024 * 1024;
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// How long a client may take to send its request.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the client may take to read the response before the connection closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a request cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("the connection broke off: {0}")]
    Broken(#[from] std::io::Error),
    #[error("no complete request after {READ_TIMEOUT:?}")]
    Slow,
    #[error("not an HTTP/1.1 request: {0}")]
    Malformed(String),
    #[error("the request line and headers are larger than {MAX_HEAD} bytes")]
    HeadTooLarge,
    #[error("the body is larger than {MAX_BODY} bytes")]
    BodyTooLarge,
    #[error("the body has no Content-Length: bodies in chunks are not supported here")]
    LengthRequired,
}

/// Reads a request with its whole body; `None` if the client closed the connection without one.
pub(crate) async fn read<S>(stream: &mut S) -> Result<Option<Request<Vec<u8>>>, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    timeout(READ_TIMEOUT, read_request(stream)).await.map_err(|_| ReadError::Slow)?
}

async fn read_request<S>(stream: &mut S) -> Result<Option<Request<Vec<u8>>>, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut received = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut received).await? == 0 {
            return if received.is_empty() { Ok(None) } else { Err(unexpected_end()) };
        }
        if let Some(head) = parse_head(&received)? {
            break head;
        }
        if received.len() > MAX_HEAD {
            return Err(ReadError::HeadTooLarge);
        }
    };
    let mut body = received.split_off(length);
    let expected = body_length(&head)?;
    if body.len() < expected && head.headers().contains_key(EXPECT) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while body.len() < expected {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(unexpected_end());
        }
    }
    body.truncate(expected);
    Ok(Some(head.map(|()| body)))
}

fn unexpected_end() -> ReadError {
    ReadError::Broken(std::io::ErrorKind::UnexpectedEof.into())
}

/// The request without its body, and the length of its head; `None` if the head is not complete.
fn parse_head(received: &[u8]) -> Result<Option<(Request<()>, usize)>, ReadError> {
    let malformed = |error: &dyn ToString| ReadError::Malformed(error.to_string());
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) =
        parsed.parse(received).map_err(|error| malformed(&error))?
    else {
        return Ok(None);
    };
    let mut request = Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(parsed.path.unwrap_or_default())
        .version(Version::HTTP_11);
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    Ok(Some((request.body(()).map_err(|error| malformed(&error))?, length)))
}

fn body_length(head: &Request<()>) -> Result<usize, ReadError> {
    if head.headers().contains_key(TRANSFER_ENCODING) {
        return Err(ReadError::LengthRequired);
    }
    let Some(length) = head.headers().get(CONTENT_LENGTH) else { return Ok(0) };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    match length.ok_or_else(|| ReadError::Malformed("invalid Content-Length".to_owned()))? {
        0..=MAX_BODY => Ok(length.unwrap_or_default()),
        _ => Err(ReadError::BodyTooLarge),
    }
}

/// Sends the response to a request with this method, and closes the connection.
pub(crate) async fn respond<S>(
    stream: &mut S,
    method: &Method,
    response: Response<Full<Bytes>>,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    if *method != Method::HEAD {
        bytes.extend(body);
    }
    stream.write_all(&bytes).await?;
    stream.shutdown().await?;
    // To close while the client still sends would reset the connection, and the client might lose
    // the response.
    let _ = timeout(CLOSE_TIMEOUT, copy(stream, &mut sink())).await;
    Ok(())
}

#[cfg(test)]
mod tests;
