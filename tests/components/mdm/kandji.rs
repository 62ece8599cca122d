//! Kandji (Iru): the device list.

use super::*;

pub(super) const DEVICES: &str = "/api/v1/devices";

/// A device as the list has it.
pub(super) fn listed() -> Value {
    json!({
        "device_id": "4820db3b-dec7-40b2-9c8f-eb771ac1a250",
        "device_name": "Alice's MacBook Pro",
        "model": "MacBook Pro (14-inch, 2023)",
        "serial_number": SERIAL,
        "platform": "Mac",
        "os_version": "15.3.1",
        "supplemental_build_version": "24D70",
        "last_check_in": "2026-03-04T10:20:00.000000Z",
        "user": { "email": "Alice@Example.com", "id": 1, "is_archived": false, "name": "Alice" },
        "asset_tag": "",
        "blueprint_id": "dccade80-bddd-43ac-a9b7-e322b17cd7d9",
        "mdm_enabled": true,
        "agent_installed": true,
        "is_missing": false,
        "is_removed": false,
        "agent_version": "4.1.3 (3795)",
        "lost_mode_status": "",
        "tags": [],
    })
}

async fn of(devices: &[Value]) -> Result<Posture, PostureError> {
    let stage = Stage::start().await;
    stage.answer(DEVICES, &json!(devices)).await;
    stage.posture(Provider::Kandji).await
}

async fn verdict(pointer: &str, value: impl Into<Value>) -> (bool, bool) {
    let posture = of(&[with(listed(), pointer, value)]).await.unwrap();
    (posture.device.managed, posture.device.compliant)
}

#[tokio::test]
async fn a_device_in_order_is_found_by_its_serial_number() {
    let stage = Stage::start().await;
    stage.answer(DEVICES, &json!([listed()])).await;
    assert_eq!(stage.posture(Provider::Kandji).await, Ok(in_order("kandji", "15.3.1")));
    let requests = stage.requests().await;
    assert_eq!(parameter(&requests[0], "serial_number").as_deref(), Some(SERIAL));
    assert_eq!(parameter(&requests[0], "limit").as_deref(), Some("300"));
}

/// The list's filter also finds serial numbers that only contain the requested one.
#[tokio::test]
async fn only_the_exact_serial_number_matches_in_any_case() {
    let longer = with(listed(), "/serial_number", format!("{SERIAL}9"));
    let lower = with(listed(), "/serial_number", SERIAL.to_lowercase());
    assert_eq!(of(std::slice::from_ref(&longer)).await, Err(PostureError::UnknownDevice));
    assert!(of(&[longer.clone(), lower.clone()]).await.unwrap().device.compliant);
    assert_eq!(of(&[longer, lower, listed()]).await, Err(PostureError::AmbiguousDevice));
    assert_eq!(of(&[]).await, Err(PostureError::UnknownDevice));
}

#[tokio::test]
async fn a_device_that_is_removed_or_not_enrolled_is_not_managed() {
    assert_eq!(verdict("/mdm_enabled", false).await, (false, false));
    assert_eq!(verdict("/mdm_enabled", ()).await, (false, false));
    assert_eq!(verdict("/is_removed", true).await, (false, false));
    assert_eq!(verdict("/is_removed", ()).await, (false, false));
}

#[tokio::test]
async fn a_device_that_is_missing_lost_or_without_agent_is_not_compliant() {
    assert_eq!(verdict("/is_missing", true).await, (true, false));
    assert_eq!(verdict("/is_missing", ()).await, (true, false));
    assert_eq!(verdict("/lost_mode_status", "ENABLED").await, (true, false));
    assert_eq!(verdict("/lost_mode_status", ()).await, (true, true));
    assert_eq!(verdict("/agent_installed", false).await, (true, false));
    assert_eq!(verdict("/platform", "Windows").await, (true, true));
}

#[tokio::test]
async fn platforms_that_have_no_agent_need_none() {
    for (platform, compliant) in
        [("iPhone", true), ("iPad", true), ("AppleTV", true), ("Mac", false), ("Windows", false)]
    {
        let device = with(with(listed(), "/platform", platform), "/agent_installed", false);
        assert_eq!(of(&[device]).await.unwrap().device.compliant, compliant, "{platform}");
    }
}

#[tokio::test]
async fn a_check_in_counts_for_seven_days() {
    for (at, compliant) in [
        ("2026-02-25T10:30:00Z", true),
        ("2026-02-25 10:30:00.000000+00:00", true),
        ("2026-02-25T10:29:59.999999Z", false),
        ("2026-03-04T10:30:30Z", true),
        ("2026-03-04T10:30:31Z", false),
        ("2025-03-04T10:20:00Z", false),
        ("", false),
        ("a while ago", false),
    ] {
        assert_eq!(verdict("/last_check_in", at).await, (true, compliant), "{at}");
    }
    assert_eq!(verdict("/last_check_in", ()).await, (true, false));
}

#[tokio::test]
async fn an_empty_user_is_no_owner() {
    for nobody in [
        json!(""),
        json!(null),
        json!({}),
        json!({ "email": null }),
        json!({ "email": "" }),
        json!([]),
    ] {
        assert_eq!(
            of(&[with(listed(), "/user", nobody.clone())]).await.unwrap().device.owner,
            None,
            "{nobody}"
        );
    }
}
