"""Device posture, with a stand-in for Jamf behind the function and its token in the emulator's Secrets Manager."""

import json

import pytest

from local.demo import CUSTOMER_DATA, DEVICES
from local.provision import ROOT


@pytest.mark.parametrize(("name", "query", "expected"), DEVICES, ids=[name for name, *_ in DEVICES])
def test_customer_data_is_for_ones_own_compliant_computer(call, name, query, expected):
    response = call("GET", f"{CUSTOMER_DATA}{query}")

    assert response.status_code == expected, response.text
    if expected == 403:
        body = json.loads(response.text)
        assert body["Code"] == "POLICY_DENY"
        assert body["Message"].startswith("This needs your own compliant device")


def test_an_unknown_computer_is_no_device(call):
    assert call("GET", f"{CUSTOMER_DATA}&device_id=NO-SUCH-MAC").status_code == 403


def test_a_rotated_token_needs_no_restart_and_loses_no_request(stack, call):
    assert call("GET", f"{CUSTOMER_DATA}&device_id=ALICE-MAC").status_code == 200

    stack.mdm.token = "the-token-after-its-rotation"
    secrets = ROOT.client("secretsmanager", stack.endpoint)
    secrets.put_secret_value(SecretId=stack.provisioned.mdm_secret, SecretString=stack.mdm.token)

    for _ in range(3):
        assert call("GET", f"{CUSTOMER_DATA}&device_id=ALICE-MAC").status_code == 200
