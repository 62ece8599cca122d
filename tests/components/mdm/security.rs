//! Regression tests for what a device look-up must never do; part of `cargo test security`.

use super::*;
use crate::support::CANARY;

const CLIENT_TOKENS: &str = "/api/oauth/token";

/// THREAT: a device identifier ends the filter's value and adds a term that matches another
/// person's compliant device.
/// PREVENTION: an identifier has only letters, digits and hyphens, and any other is refused. It is
/// one value of one parameter, and the device in the reply is compared with it again.
#[tokio::test]
async fn security_identifiers_cannot_change_the_query() {
    for id in [
        "X%22,udid==%22*",
        "X'%20or%20'1'%20eq%20'1",
        "X%26limit=1",
        "*",
        "X%2A",
        "..%2F..",
        "X%00",
        "X%0A",
        "X;id==1",
        "",
    ] {
        let event = json!({ "rawQueryString": format!("profile=p&device_id={id}"), "requestContext": { "http": { "method": "GET" } } });
        assert!(VendRequest::parse(&Event::read(&event.to_string())).is_err(), "{id}");
    }
    let longest = "-".repeat(64);
    for id in ["A", "or", "--", "1e9", longest.as_str()] {
        for (provider, name, value) in [
            (Provider::Jamf, "filter", format!("hardware.serialNumber==\"{id}\",udid==\"{id}\"")),
            (intune(), "$filter", format!("serialNumber eq '{id}'")),
            (Provider::Kandji, "serial_number", id.to_owned()),
        ] {
            let stage = Stage::start().await;
            let _ = stage.mdm(provider).await.posture(&device(id), wednesday_morning()).await;
            assert_eq!(parameter(&stage.requests().await[0], name), Some(value));
        }
    }
}

/// THREAT: the provider's filter is looser than expected, and the function accepts another
/// compliant device for the requested one.
/// PREVENTION: the device in the reply must have the identifier of the request.
#[tokio::test]
async fn security_another_device_is_not_accepted() {
    let stage = jamf::stage().await;
    let mut inventory = json!({ "totalCount": 1, "results": [jamf::computer()] });
    stage.answer(intune::DEVICES, &intune::found(&[intune::managed_device()])).await;
    stage.answer(kandji::DEVICES, &json!([kandji::listed()])).await;
    for provider in [Provider::Jamf, intune(), Provider::Kandji] {
        for id in [OTHER_SERIAL, "C02", "C02XL0GTJGH5-", "42"] {
            let posture =
                stage.mdm(provider.clone()).await.posture(&device(id), wednesday_morning()).await;
            assert_eq!(posture, Err(PostureError::UnknownDevice), "{} {id}", provider.name());
        }
    }
    inventory["results"][0]["hardware"]["serialNumber"] = Value::Null;
    let nameless = Stage::start().await;
    nameless.answer(jamf::INVENTORY, &inventory).await;
    assert_eq!(nameless.posture(Provider::Jamf).await, Err(PostureError::UnknownDevice));
}

/// THREAT: a redirect takes the token to another host, or a device's posture from one.
/// PREVENTION: no redirect is followed, neither by a look-up nor by an exchange of client
/// credentials.
#[tokio::test]
async fn security_redirects_are_not_followed() {
    let elsewhere = jamf::stage().await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = |at: &str| {
            let location = format!("{}{at}", elsewhere.mdm.uri());
            ResponseTemplate::new(status).insert_header("location", location)
        };
        let stage = Stage::start().await;
        stage.answer_to(TOKEN, jamf::INVENTORY, redirect(jamf::INVENTORY)).await;
        assert!(matches!(stage.posture(Provider::Jamf).await, Err(PostureError::Upstream { .. })));
        let stage = Stage::with_secret(CLIENT).await;
        stage.answer_client(CLIENT_TOKENS, redirect(CLIENT_TOKENS)).await;
        assert!(matches!(stage.posture(Provider::Jamf).await, Err(PostureError::Upstream { .. })));
    }
    assert!(elsewhere.requests().await.is_empty());
}

/// THREAT: tokens, or the provider's error messages, get into replies and logs through errors and
/// `Debug`.
/// PREVENTION: secrets print as `[REDACTED]`, and an error keeps only the status or a fixed text.
#[tokio::test]
async fn security_neither_tokens_nor_the_providers_messages_are_shown() {
    let words = json!({ "error": "invalid_client", "error_description": "CANARY", "errors": [{ "description": "CANARY" }] });
    let mut shown = Vec::new();
    for status in [200, 302, 400, 401, 403, 404, 429, 500] {
        for (provider, at) in [
            (Provider::Jamf, jamf::INVENTORY),
            (intune(), intune::DEVICES),
            (Provider::Kandji, kandji::DEVICES),
        ] {
            let stage = Stage::start().await;
            let response = ResponseTemplate::new(status)
                .set_body_json(&words)
                .insert_header("location", "http://127.0.0.1:1/CANARY");
            stage.answer_to(TOKEN, at, response.clone()).await;
            let mdm = stage.mdm(provider).await;
            let error = mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap_err();
            shown.push(format!("{error} {error:?} {mdm:?}"));
            stage.put_secret(CLIENT).await;
            stage.answer_client(CLIENT_TOKENS, response).await;
            let mdm = stage.mdm(Provider::Jamf).await;
            let error = mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap_err();
            shown.push(format!("{error} {error:?} {mdm:?}"));
        }
    }
    assert!(
        shown.iter().all(|shown| !shown.contains(CANARY) && !shown.contains("invalid_client")),
        "{shown:#?}"
    );
}

/// THREAT: with an access token in use, `Debug` of the client shows it.
/// PREVENTION: its `Debug` shows the settings and nothing else.
#[tokio::test]
async fn security_debug_shows_settings_only() {
    let stage = Stage::with_secret(CLIENT).await;
    let issued =
        json!({ "access_token": "CANARY-access", "token_type": "Bearer", "expires_in": 600 });
    stage.answer_client(CLIENT_TOKENS, ResponseTemplate::new(200).set_body_json(issued)).await;
    let mdm = stage.mdm(Provider::Jamf).await;
    mdm.warm(wednesday_morning()).await;
    let shown = format!("{mdm:?} {mdm:#?}");
    assert!(shown.contains("Jamf") && !shown.contains(CANARY), "{shown}");
}

/// THREAT: while the device-management system is away, devices count as compliant.
/// PREVENTION: a cached posture expires after its TTL; then the look-up is an error, whatever the
/// last posture was.
#[tokio::test]
async fn security_an_outage_does_not_prolong_a_posture() {
    let stage = Stage::start().await;
    stage.answer(kandji::DEVICES, &json!([kandji::listed()])).await;
    let mdm = stage.mdm(Provider::Kandji).await;
    assert!(mdm.posture(&device(SERIAL), wednesday_morning()).await.unwrap().device.compliant);
    stage.mdm.reset().await;
    stage.answer_to(TOKEN, kandji::DEVICES, ResponseTemplate::new(503)).await;
    let later = wednesday_morning() + time::Duration::seconds(60);
    assert_eq!(mdm.posture(&device(SERIAL), later).await, Err(upstream("HTTP 503")));
}
