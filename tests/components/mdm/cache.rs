//! The posture cache: compliant devices, for a short time.

use super::*;
use sentinel_tvm::PostureSource;
use time::Duration as Span;

async fn stage(device: Value) -> Stage {
    let stage = Stage::start().await;
    stage.answer(kandji::DEVICES, &json!([device])).await;
    stage
}

#[tokio::test]
async fn a_compliant_device_is_cached_for_the_ttl_in_any_case() {
    let stage = stage(kandji::listed()).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    for (id, seconds, source) in [
        (SERIAL.to_owned(), 0, PostureSource::Mdm),
        (SERIAL.to_owned(), 0, PostureSource::Cache),
        (SERIAL.to_lowercase(), 59, PostureSource::Cache),
        (SERIAL.to_owned(), 60, PostureSource::Mdm),
        (SERIAL.to_owned(), 119, PostureSource::Cache),
        (SERIAL.to_owned(), 120, PostureSource::Mdm),
    ] {
        let posture =
            mdm.posture(&device(&id), wednesday_morning() + Span::seconds(seconds)).await.unwrap();
        assert_eq!(
            (posture.source, posture.device.owner.as_deref()),
            (source, Some("alice@example.com")),
            "after {seconds} s"
        );
    }
    assert_eq!(stage.requests().await.len(), 3);
}

/// THREAT: the clock is set back by a day, and a posture from before counts as fresh for that day.
/// PREVENTION: a posture from the future has expired.
#[tokio::test]
async fn security_a_clock_set_back_does_not_prolong_a_posture() {
    let stage = stage(kandji::listed()).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    let source_at = async |at| mdm.posture(&device(SERIAL), at).await.unwrap().source;
    assert_eq!(source_at(wednesday_morning()).await, PostureSource::Mdm);
    assert_eq!(source_at(wednesday_morning() - Span::days(1)).await, PostureSource::Mdm);
}

#[tokio::test]
async fn other_devices_are_looked_up_every_time() {
    for unfit in [
        with(kandji::listed(), "/is_missing", true),
        with(kandji::listed(), "/is_removed", true),
        json!({}),
    ] {
        let stage = stage(unfit).await;
        let mdm = stage.mdm(Provider::Kandji).await;
        for asked in 1..=3 {
            let _ = mdm.posture(&device(SERIAL), wednesday_morning()).await;
            assert_eq!(stage.requests().await.len(), asked);
        }
    }
}

#[tokio::test]
async fn a_device_that_becomes_compliant_passes_at_once_and_one_that_ceases_to_be_fails_after_the_ttl()
 {
    let stage = stage(with(kandji::listed(), "/is_missing", true)).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    let compliant_at = async |seconds| {
        let at = wednesday_morning() + Span::seconds(seconds);
        mdm.posture(&device(SERIAL), at).await.unwrap().device.compliant
    };
    assert!(!compliant_at(0).await);
    stage.mdm.reset().await;
    stage.answer(kandji::DEVICES, &json!([kandji::listed()])).await;
    assert!(compliant_at(1).await);
    stage.mdm.reset().await;
    stage.answer(kandji::DEVICES, &json!([with(kandji::listed(), "/is_missing", true)])).await;
    assert!(compliant_at(60).await);
    assert!(!compliant_at(61).await);
}

#[tokio::test]
async fn a_ttl_of_zero_caches_nothing() {
    let stage = stage(kandji::listed()).await;
    let mut settings = settings(Provider::Kandji, &stage.mdm.uri(), Duration::from_mins(1));
    settings.posture_ttl = Span::ZERO;
    let mdm = Mdm::new(settings, CachedSecret::fixed(TOKEN.into()), &support::https()).unwrap();
    for _ in 0..2 {
        assert_eq!(
            mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap().source,
            PostureSource::Mdm
        );
    }
}

#[tokio::test]
async fn at_most_a_thousand_devices_are_cached() {
    let stage = Stage::start().await;
    let answer = |request: &Request| {
        let serial = parameter(request, "serial_number").unwrap();
        ResponseTemplate::new(200).set_body_json(json!([with(
            kandji::listed(),
            "/serial_number",
            serial
        )]))
    };
    Mock::given(method("GET")).respond_with(answer).mount(&stage.mdm).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    for n in 0..1_001 {
        mdm.posture(&device(&format!("SERIAL{n}")), wednesday_morning()).await.unwrap();
    }
    let source_of = async |n: u32| {
        mdm.posture(&device(&format!("SERIAL{n}")), wednesday_morning()).await.unwrap().source
    };
    assert_eq!(source_of(1_000).await, PostureSource::Cache);
    assert_eq!(source_of(1).await, PostureSource::Cache);
    assert_eq!(source_of(0).await, PostureSource::Mdm);
}
