use tokio::io::{DuplexStream, duplex};

use super::*;

/// What `read` makes of these bytes, sent in pieces of `size`, and what it wrote meanwhile.
async fn read_in_pieces(
    sent: &[u8],
    size: usize,
) -> (Result<Option<Request<Vec<u8>>>, ReadError>, String) {
    let (mut client, mut server) = duplex(2 * MAX_BODY);
    let reader = tokio::spawn(async move { read(&mut server).await });
    for piece in sent.chunks(size) {
        client.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    client.shutdown().await.unwrap();
    let request = reader.await.unwrap();
    (request, rest(client).await)
}

async fn rest(mut stream: DuplexStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn error(sent: &[u8]) -> ReadError {
    read_in_pieces(sent, sent.len()).await.0.unwrap_err()
}

#[tokio::test]
async fn a_request_arrives_whole_however_it_was_sent() {
    let sent = b"POST /a%2Fb?c=%20d HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: \xfc\r\nContent-Length: 3\r\n\r\nxyz";
    for size in [1, 7, sent.len()] {
        let (request, written) = read_in_pieces(sent, size).await;
        let (head, body) = request.unwrap().unwrap().into_parts();
        assert_eq!((head.method, body.as_slice()), (Method::POST, &b"xyz"[..]));
        assert_eq!(head.uri, "/a%2Fb?c=%20d");
        let values: Vec<_> =
            head.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], b"\xfc"]);
        assert_eq!(written, "");
    }
}

#[tokio::test]
async fn a_client_that_waits_before_its_body_is_answered() {
    let sent = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    let (request, written) = read_in_pieces(sent, sent.len() - 1).await;
    assert_eq!(request.unwrap().unwrap().body(), b"x");
    assert_eq!(written, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test]
async fn what_is_no_request_has_a_reason() {
    assert!(read_in_pieces(b"", 1).await.0.unwrap().is_none());
    assert!(matches!(error(b"GET / HTT").await, ReadError::Broken(_)));
    assert!(matches!(
        error(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nx").await,
        ReadError::Broken(_)
    ));
    assert!(matches!(error(b"\x16\x03\x01 hello").await, ReadError::Malformed(_)));
    for length in ["-1", "x", "99999999999999999999"] {
        let sent = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        assert!(matches!(error(sent.as_bytes()).await, ReadError::Malformed(_)), "{length}");
    }
    let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(matches!(error(chunked).await, ReadError::LengthRequired));
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
    assert!(matches!(error(head.as_bytes()).await, ReadError::HeadTooLarge));
}

#[tokio::test]
async fn a_body_may_be_as_large_as_lambda_accepts() {
    let head = |length| format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    let mut largest = head(MAX_BODY);
    largest.resize(largest.len() + MAX_BODY, b'x');
    let (request, _) = read_in_pieces(&largest, largest.len()).await;
    assert_eq!(request.unwrap().unwrap().body().len(), MAX_BODY);
    assert!(matches!(error(&head(MAX_BODY + 1)).await, ReadError::BodyTooLarge));
}

#[tokio::test]
async fn a_response_says_where_it_ends() {
    for (method, body) in [(Method::GET, "{}"), (Method::HEAD, "")] {
        let (client, mut server) = duplex(4096);
        let response = Response::builder()
            .status(429)
            .header("retry-after", "7")
            .header("content-length", "99")
            .header("transfer-encoding", "chunked")
            .body(Full::from("{}"))
            .unwrap();
        let client = tokio::spawn(rest(client));
        respond(&mut server, &method, response).await.unwrap();
        drop(server);
        let expected = "HTTP/1.1 429 Too Many Requests\r\n\
            retry-after: 7\r\ncontent-length: 2\r\nconnection: close\r\n\r\n";
        assert_eq!(client.await.unwrap(), format!("{expected}{body}"));
    }
}
