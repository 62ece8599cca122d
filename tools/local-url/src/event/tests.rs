use hyper::Request;

use super::*;

fn event(request: hyper::http::request::Builder, body: &[u8]) -> Value {
    let signer = Signer {
        access_key_id: "ASIALICE".to_owned(),
        secret_access_key: "alice-secret".to_owned(),
        session_token: Some("alice-token".to_owned()),
        user_arn: "arn:aws:sts::123456789012:assumed-role/Developer/alice".to_owned(),
        account_id: "123456789012".to_owned(),
        user_id: "AROADEVELOPER:alice".to_owned(),
        principal_org_id: None,
    };
    let (request, ()) = request.body(()).unwrap().into_parts();
    let verified = Verified {
        request: &request,
        body,
        signer: &signer,
        source_ip: [127, 0, 0, 1].into(),
        request_id: "00000000-0000-4000-8000-000000000000",
        received_at: SystemTime::UNIX_EPOCH,
    };
    verified.event()
}

#[test]
fn the_event_of_a_signed_get_has_the_shape_that_aws_documents() {
    let request = Request::get("/v1/credentials?profile=a%20b&tag=1&tag=2")
        .header("Host", "abc.lambda-url.us-east-1.on.aws")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("User-Agent", "curl");
    let expected = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/credentials",
        "rawQueryString": "profile=a%20b&tag=1&tag=2",
        "queryStringParameters": { "profile": "a b", "tag": "1,2" },
        "headers": {
            "host": "abc.lambda-url.us-east-1.on.aws",
            "user-agent": "curl",
            "x-forwarded-for": "127.0.0.1",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "authentication": null,
            "authorizer": { "iam": {
                "accessKey": "ASIALICE",
                "accountId": "123456789012",
                "callerId": "AROADEVELOPER:alice",
                "cognitoIdentity": null,
                "principalOrgId": null,
                "userArn": "arn:aws:sts::123456789012:assumed-role/Developer/alice",
                "userId": "AROADEVELOPER:alice",
            } },
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "domainPrefix": "abc",
            "http": {
                "method": "GET",
                "path": "/v1/credentials",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
            },
            "requestId": "00000000-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/1970:00:00:00 +0000",
            "timeEpoch": 0,
        },
        "isBase64Encoded": false,
    });
    assert_eq!(event(request, b""), expected);
}

#[test]
fn a_body_is_text_only_where_its_type_and_its_bytes_say_so() {
    let post = |content_type| Request::post("/").header("content-type", content_type);
    let cases: [(_, &[u8], _, _); 4] = [
        (post("application/json"), b"{}", "{}", false),
        (post("application/octet-stream"), b"{}", "e30=", true),
        (post("text/plain; charset=utf-8"), &[0xff], "/w==", true),
        (Request::post("/"), b"{}", "e30=", true),
    ];
    for (request, body, expected, is_base64) in cases {
        let event = event(request, body);
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&json!(expected), &json!(is_base64))
        );
    }
}
