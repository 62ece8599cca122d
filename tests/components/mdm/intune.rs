//! Microsoft Intune: managed devices in Microsoft Graph.

use super::*;

pub(super) const DEVICES: &str = "/v1.0/deviceManagement/managedDevices";
pub(super) const TOKENS: &str = "/0a1b2c3d-4e5f-6789-abcd-ef0123456789/oauth2/v2.0/token";
const ENTRA_ID: &str = "1a2b3c4d-0000-4111-8222-abcdef012345";

/// A device as Graph returns it, without the fields that the function does not select.
pub(super) fn managed_device() -> Value {
    json!({
        "@odata.type": "#microsoft.graph.managedDevice",
        "serialNumber": SERIAL,
        "azureADDeviceId": ENTRA_ID,
        "complianceState": "compliant",
        "managementAgent": "mdm",
        "deviceActionResults": [],
        "userPrincipalName": "Alice@Example.com",
        "lastSyncDateTime": "2026-03-04T02:20:00.0000000-08:00",
        "osVersion": "10.0.26100.3194",
    })
}

pub(super) fn found(devices: &[Value]) -> Value {
    json!({ "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#deviceManagement/managedDevices", "value": devices })
}

async fn of(devices: &[Value]) -> Result<Posture, PostureError> {
    let stage = Stage::start().await;
    stage.answer(DEVICES, &found(devices)).await;
    stage.posture(intune()).await
}

#[tokio::test]
async fn a_compliant_device_is_found_by_its_serial_number() {
    let stage = Stage::start().await;
    stage.answer(DEVICES, &found(&[managed_device()])).await;
    assert_eq!(stage.posture(intune()).await, Ok(in_order("intune", "10.0.26100.3194")));
    let requests = stage.requests().await;
    assert_eq!(
        parameter(&requests[0], "$filter").as_deref(),
        Some("serialNumber eq 'C02XL0GTJGH5'")
    );
    let selected = parameter(&requests[0], "$select").unwrap();
    assert_eq!(
        selected,
        "serialNumber,azureADDeviceId,complianceState,managementAgent,deviceActionResults,userPrincipalName,lastSyncDateTime,\
         osVersion"
    );
}

#[tokio::test]
async fn a_device_is_found_by_its_entra_device_id() {
    let stage = Stage::start().await;
    stage.answer(DEVICES, &found(&[managed_device()])).await;
    let mdm = stage.mdm(intune()).await;
    assert!(
        mdm.posture(&device(&ENTRA_ID.to_uppercase()), wednesday_morning())
            .await
            .unwrap()
            .device
            .compliant
    );
    let filter = format!("azureADDeviceId eq '{}'", ENTRA_ID.to_uppercase());
    assert_eq!(parameter(&stage.requests().await[0], "$filter"), Some(filter));
}

#[tokio::test]
async fn no_device_another_device_and_two_devices_are_refusals() {
    let other = with(managed_device(), "/serialNumber", OTHER_SERIAL);
    assert_eq!(of(&[]).await, Err(PostureError::UnknownDevice));
    assert_eq!(of(&[other]).await, Err(PostureError::UnknownDevice));
    assert_eq!(of(&[managed_device(), managed_device()]).await, Err(PostureError::AmbiguousDevice));
}

/// Grace means that the device is not compliant, but not yet blocked: here it is not compliant.
#[tokio::test]
async fn only_compliant_is_compliant_and_grace_is_not() {
    for state in [
        "unknown",
        "noncompliant",
        "conflict",
        "error",
        "inGracePeriod",
        "configManager",
        "Compliant",
        "",
    ] {
        let posture = of(&[with(managed_device(), "/complianceState", state)]).await.unwrap();
        assert_eq!((posture.device.managed, posture.device.compliant), (true, false), "{state}");
    }
    assert!(!of(&[with(managed_device(), "/complianceState", ())]).await.unwrap().device.compliant);
}

#[tokio::test]
async fn a_device_that_intune_does_not_manage_itself_is_neither_managed_nor_compliant() {
    for agent in ["eas", "configurationManagerClient", "unknown", "jamf", "msSense", ""] {
        let posture = of(&[with(managed_device(), "/managementAgent", agent)]).await.unwrap();
        assert_eq!((posture.device.managed, posture.device.compliant), (false, false), "{agent}");
    }
    for agent in [
        "mdm",
        "easMdm",
        "intuneClient",
        "configurationManagerClientMdm",
        "googleCloudDevicePolicyController",
    ] {
        assert!(
            of(&[with(managed_device(), "/managementAgent", agent)]).await.unwrap().device.managed,
            "{agent}"
        );
    }
}

#[tokio::test]
async fn a_device_that_is_being_retired_wiped_or_deleted_is_not_managed() {
    let cases = [
        ("retire", "pending", false),
        ("wipe", "active", false),
        ("delete", "pending", false),
        ("wipe", "failed", true),
        ("retire", "canceled", true),
        ("syncDevice", "pending", true),
    ];
    for (name, state, managed) in cases {
        let actions = json!([{ "actionName": "locateDevice", "actionState": "done" }, { "actionName": name, "actionState": state }]);
        let posture = of(&[with(managed_device(), "/deviceActionResults", actions)]).await.unwrap();
        assert_eq!(
            (posture.device.managed, posture.device.compliant),
            (managed, managed),
            "{name} {state}"
        );
    }
}

#[tokio::test]
async fn absent_fields_are_unknown() {
    let posture =
        of(&[json!({ "serialNumber": SERIAL, "userPrincipalName": "", "osVersion": null })])
            .await
            .unwrap();
    assert_eq!((posture.device.managed, posture.device.compliant), (false, false));
    assert_eq!(
        (posture.device.owner, posture.device.last_seen, posture.device.os_version),
        (None, None, None)
    );
}

#[tokio::test]
async fn client_credentials_are_exchanged_at_the_tenant() {
    let stage = Stage::with_secret(CLIENT).await;
    let issued = json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "CANARY-access" });
    stage.answer_client(TOKENS, ResponseTemplate::new(200).set_body_json(issued)).await;
    let devices = ResponseTemplate::new(200).set_body_json(found(&[managed_device()]));
    stage.answer_to("CANARY-access", DEVICES, devices).await;
    assert!(stage.posture(intune()).await.unwrap().device.compliant);
    let form = String::from_utf8(stage.requests().await[0].body.clone()).unwrap();
    assert_eq!(
        form,
        "grant_type=client_credentials&client_id=sentinel&client_secret=CANARY-client-secret\
         &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
    );
}

#[tokio::test]
async fn a_reply_with_a_further_page_is_ambiguous() {
    let stage = Stage::start().await;
    let mut page = found(&[managed_device()]);
    page["@odata.nextLink"] =
        json!("https://graph.microsoft.com/v1.0/deviceManagement/managedDevices?$skiptoken=x");
    stage.answer(DEVICES, &page).await;
    assert_eq!(stage.posture(intune()).await, Err(PostureError::AmbiguousDevice));
}
