//! Where a request's signature is, and how old it may be.

use crate::support::{Api, Call};
use time::Duration;

fn signed(date: &str) -> Call {
    Call::get("/?profile=development").set("/headers/x-amz-date", date)
}

/// THREAT: a pre-signed URL works for whoever sees it, for up to a week.
/// PREVENTION: a signature in the query is refused, in words that say why.
#[tokio::test]
async fn security_a_presigned_url_is_no_voucher() {
    let api = Api::start().await;
    for name in ["X-Amz-Signature", "x-amz-signature"] {
        let query = format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&{name}=00&profile=development");
        let answer = api.send(Call::get(&format!("/v1/credentials?{query}"))).await;
        assert_eq!(answer.outcome(), (403, "IAM_AUTH_REQUIRED".to_owned()), "{name}");
        assert!(answer.body()["Message"].as_str().unwrap().contains("Pre-signed URLs"));
    }
    let rest =
        Call::event("rest-api-user").target("GET", "/?profile=development&X-Amz-Signature=0");
    assert_eq!(api.send(rest).await.status(), 403, "in payload 1.0, too");
    assert!(api.sts.requests().await.is_empty());
}

/// THREAT: a recorded request is sent again.
/// PREVENTION: the signature's date must be close to now.
#[tokio::test]
async fn security_an_old_signature_is_refused() {
    let ages = [(0, 200), (300, 200), (301, 403), (3_600, 403), (-300, 200), (-301, 403)];
    for (seconds, status) in ages {
        let mut api = Api::start().await;
        api.now += Duration::seconds(seconds);
        assert_eq!(api.send(signed("20260304T103000Z")).await.status(), status, "{seconds}");
    }
    let mut short = Api::with(&[("SENTINEL_MAX_REQUEST_AGE", "60")]).await;
    short.wait(61);
    assert_eq!(short.send(signed("20260304T103000Z")).await.status(), 403);
}

#[tokio::test]
async fn security_a_date_that_is_none_or_several_is_refused() {
    let api = Api::start().await;
    for date in ["", "yesterday", "2026-03-04T10:30:00Z", "20260304T103000Z,20260304T103000Z"] {
        assert_eq!(api.send(signed(date)).await.status(), 403, "{date:?}");
    }
    let twice = serde_json::json!(["20260304T103000Z", "20260304T103000Z"]);
    let rest = Call::event("rest-api-user").set("/multiValueHeaders/X-Amz-Date", twice);
    assert_eq!(api.send(rest).await.status(), 403);
}
