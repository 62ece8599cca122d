"""What `make policy-push` writes, and what it leaves alone."""

import json

import policy_push
import pytest
from botocore.exceptions import ClientError
from local.provision import POLICY_PARAMETER, ROOT
from local.stack import REPOSITORY


@pytest.fixture
def ssm(stack):
    return ROOT.client("ssm", stack.endpoint)


def below(ssm, path):
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    return {item["Name"]: item for page in pages for item in page["Parameters"]}


def test_security_a_wrong_path_is_left_alone(stack, ssm):
    """
    THREAT: a push to the wrong path deletes what others keep there, and nobody can bring it back.
    PREVENTION: nothing is written where there is anything that is no policy.
    """
    ssm.put_parameter(Name="/prod/db/password", Value="x", Type="String")
    with pytest.raises(Exception, match="Is it the right path"):
        stack.push_policy(REPOSITORY / "policy", "/prod")
    assert below(ssm, "/prod").keys() == {"/prod/db/password"}
    for odd in ["/", "prod", "/prod/", "/aws/x", "/a b"]:
        with pytest.raises(Exception, match="is not a path"):
            stack.push_policy(REPOSITORY / "policy", odd)


def test_what_is_not_of_the_bundle_any_more_is_deleted_and_the_rest_stays_as_it_is(stack, ssm, policy):
    (policy / "more.cedar").write_text('@id("more") permit (principal, action, resource) when { principal.name == "x" };')
    stack.push_policy(policy)
    assert f"{POLICY_PARAMETER}/policies/more" in below(ssm, POLICY_PARAMETER)
    (policy / "more.cedar").unlink()
    assert f"deleted {POLICY_PARAMETER}/policies/more" in stack.push_policy(policy)
    assert "nothing to change" in stack.push_policy(policy)


def test_a_bundle_that_parameter_store_would_not_take_is_told_before_anything_is_written(stack, ssm, policy):
    before = {name: item["Version"] for name, item in below(ssm, POLICY_PARAMETER).items()}
    for name, text in [("empty.cedar", "// nothing\n" * 900), ("two words.cedar", "//"), ("braces.cedar", "// {{x}}")]:
        (policy / name).write_text(text)
        with pytest.raises(Exception, match=name):
            stack.push_policy(policy)
        (policy / name).unlink()
    assert {name: item["Version"] for name, item in below(ssm, POLICY_PARAMETER).items()} == before


def test_a_placeholder_gets_through_parameter_store(call):
    answer = call("GET", "/v1/credentials?profile=untrusted")
    assert json.loads(answer.text)["Code"] == "CREDENTIAL_ERROR", "it got as far as STS, with the tag filled in"


def test_advanced_parameters_stay_advanced():
    """The emulator knows no tiers: what AWS says to a downgrade is put in its place."""
    written = []

    class Store:
        class exceptions:
            ClientError = ClientError

        def put_parameter(self, **parameter):
            if parameter["Tier"] == "Standard" and parameter["Name"] == "/p/was-advanced":
                raise ClientError({"Error": {"Code": "ValidationException", "Message": "downgrade"}}, "PutParameter")
            written.append((parameter["Name"], parameter["Tier"], parameter.get("Type"), parameter.get("KeyId")))

    policy_push.put(Store(), "/p/was-advanced", "x", new=False, key=None)
    policy_push.put(Store(), "/p/long", "x" * 5000, new=True, key=None)
    policy_push.put(Store(), "/p/secret", "x", new=False, key="alias/policy")
    assert written == [
        ("/p/was-advanced", "Advanced", None, None),
        ("/p/long", "Advanced", "String", None),
        ("/p/secret", "Standard", "SecureString", "alias/policy"),
    ]
