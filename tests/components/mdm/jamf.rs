//! Jamf Pro: the computers inventory and the compliance records.

use super::*;

pub(super) const INVENTORY: &str = "/api/v3/computers-inventory";
pub(super) const OLD_INVENTORY: &str = "/api/v1/computers-inventory";
pub(super) const COMPLIANCE: &str =
    "/api/v1/conditional-access/device-compliance-information/computer/42";
const UDID: &str = "0DFA64A6-1B2C-5D3E-8F90-A1B2C3D4E5F6";

/// A computer as the inventory returns it, without the fields that the function does not read.
pub(super) fn computer() -> Value {
    json!({
        "id": "42",
        "udid": UDID,
        "general": {
            "name": "Alice's MacBook Pro",
            "platform": "Mac",
            "lastContactTime": "2026-03-04T10:20:00Z",
            "remoteManagement": { "managed": true, "managementUsername": null },
            "mdmCapable": { "capable": true, "capableUsers": [] },
        },
        "hardware": { "make": "Apple", "serialNumber": SERIAL },
        "operatingSystem": { "name": "macOS", "version": "15.3.1", "build": "24D70" },
        "userAndLocation": { "username": "alice", "email": "Alice@Example.com" },
        "security": null,
    })
}

fn found(computers: &[Value]) -> Value {
    json!({ "totalCount": computers.len(), "results": computers })
}

fn records(states: &[(bool, &str)]) -> Value {
    let record = |(applicable, state): &(bool, &str)| {
        json!({
            "deviceId": "42", "applicable": applicable, "complianceState": state, "complianceVendor": "Microsoft",
            "complianceVendorDeviceInformation": [{ "deviceIds": ["0a1b2c3d-4e5f-6789-abcd-ef0123456789"] }],
        })
    };
    states.iter().map(record).collect()
}

/// A Jamf Pro with one compliant computer.
pub(super) async fn stage() -> Stage {
    let stage = Stage::start().await;
    stage.answer(INVENTORY, &found(&[computer()])).await;
    stage.answer(COMPLIANCE, &records(&[(true, "COMPLIANT")])).await;
    stage
}

async fn of(computers: &[Value], compliance: Value) -> Result<Posture, PostureError> {
    let stage = Stage::start().await;
    stage.answer(INVENTORY, &found(computers)).await;
    stage.answer(COMPLIANCE, &compliance).await;
    stage.posture(Provider::Jamf).await
}

#[tokio::test]
async fn a_compliant_computer_is_found_by_its_serial_number() {
    let stage = stage().await;
    assert_eq!(stage.posture(Provider::Jamf).await, Ok(in_order("jamf", "15.3.1")));
    let requests = stage.requests().await;
    let filter = r#"hardware.serialNumber=="C02XL0GTJGH5",udid=="C02XL0GTJGH5""#;
    assert_eq!(parameter(&requests[0], "filter").as_deref(), Some(filter));
    let sections: Vec<_> = requests[0]
        .url
        .query_pairs()
        .filter(|(name, _)| name == "section")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(sections, ["GENERAL", "HARDWARE", "OPERATING_SYSTEM", "USER_AND_LOCATION"]);
    assert_eq!(requests[0].headers["accept"], "application/json");
    assert_eq!(
        requests[0].headers["user-agent"],
        concat!("sentinel-tvm/", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_computer_is_found_by_its_udid_and_in_any_case() {
    let stage = stage().await;
    let mdm = stage.mdm(Provider::Jamf).await;
    for id in [UDID, &UDID.to_lowercase(), &SERIAL.to_lowercase()] {
        assert!(
            mdm.posture(&device(id), wednesday_morning()).await.unwrap().device.compliant,
            "{id}"
        );
    }
}

#[tokio::test]
async fn no_computer_another_computer_and_two_computers_are_refusals() {
    let other = with(with(computer(), "/hardware/serialNumber", OTHER_SERIAL), "/udid", "other");
    assert_eq!(of(&[], json!([])).await, Err(PostureError::UnknownDevice));
    assert_eq!(of(&[other], json!([])).await, Err(PostureError::UnknownDevice));
    assert_eq!(
        of(&[computer(), computer()], records(&[(true, "COMPLIANT")])).await,
        Err(PostureError::AmbiguousDevice)
    );
}

#[tokio::test]
async fn an_unmanaged_computer_is_not_compliant_whatever_its_records_say() {
    for unmanaged in [
        with(computer(), "/general/remoteManagement/managed", false),
        with(computer(), "/general/remoteManagement/managed", ()),
        with(computer(), "/general/remoteManagement", ()),
        with(computer(), "/general", ()),
    ] {
        let posture = of(&[unmanaged], records(&[(true, "COMPLIANT")])).await.unwrap();
        assert_eq!((posture.device.managed, posture.device.compliant), (false, false));
    }
}

#[tokio::test]
async fn only_records_that_all_say_so_make_a_computer_compliant() {
    let cases: [(&[(bool, &str)], bool); 7] = [
        (&[], false),
        (&[(false, "COMPLIANT")], false),
        (&[(true, "NON_COMPLIANT")], false),
        (&[(true, "UNKNOWN")], false),
        (&[(true, "COMPLIANT"), (true, "NON_COMPLIANT")], false),
        (&[(true, "COMPLIANT"), (false, "NON_COMPLIANT")], true),
        (&[(true, "COMPLIANT"), (true, "COMPLIANT")], true),
    ];
    for (states, compliant) in cases {
        let posture = of(&[computer()], records(states)).await.unwrap();
        assert_eq!(
            (posture.device.managed, posture.device.compliant),
            (true, compliant),
            "{states:?}"
        );
    }
}

#[tokio::test]
async fn without_compliance_information_a_computer_is_managed_and_not_compliant() {
    let stage = Stage::start().await;
    stage.answer(INVENTORY, &found(&[computer()])).await;
    let posture = stage.posture(Provider::Jamf).await.unwrap();
    assert_eq!((posture.device.managed, posture.device.compliant), (true, false));
    assert_eq!(stage.asked().await, [format!("GET {INVENTORY}"), format!("GET {COMPLIANCE}")]);
}

#[tokio::test]
async fn a_role_that_may_not_read_compliance_is_an_error_and_not_a_posture() {
    let stage = Stage::start().await;
    stage.answer(INVENTORY, &found(&[computer()])).await;
    stage.answer_to(TOKEN, COMPLIANCE, ResponseTemplate::new(403)).await;
    assert_eq!(stage.posture(Provider::Jamf).await, Err(upstream("HTTP 403")));
}

#[tokio::test]
async fn an_older_server_is_asked_with_its_own_api_version() {
    let stage = Stage::start().await;
    stage.answer(OLD_INVENTORY, &found(&[computer()])).await;
    stage.answer(COMPLIANCE, &records(&[(true, "COMPLIANT")])).await;
    assert!(stage.posture(Provider::Jamf).await.unwrap().device.compliant);
    let neither = Stage::start().await;
    assert_eq!(neither.posture(Provider::Jamf).await, Err(upstream("HTTP 404")));
}

#[tokio::test]
async fn absent_fields_are_unknown() {
    let bare = json!({ "id": "42", "hardware": { "serialNumber": SERIAL } });
    let posture = of(&[bare], json!([])).await.unwrap();
    assert_eq!((posture.device.managed, posture.device.compliant), (false, false));
    assert_eq!(
        (posture.device.owner, posture.device.last_seen, posture.device.os_version),
        (None, None, None)
    );
}
