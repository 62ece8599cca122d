"""Every reply that docs/openapi.yaml documents has been seen. Runs last: see conftest.py."""

from description import SEEN, codes_of, operations, response_of


def test_every_documented_status_was_seen():
    documented = {(method, path, int(status)) for method, path, operation in operations() for status in operation["responses"]}
    seen = {(method, path, status) for method, path, status, _ in SEEN}
    assert not documented - seen, "documented, and never seen: run all of tests/openapi"
    assert not seen - documented, "seen, and not documented"


def test_every_documented_code_was_seen():
    seen = {(status, code) for _, _, status, code in SEEN}
    documented = {
        (int(status), code)
        for _, _, operation in operations()
        for status in operation["responses"]
        for code in codes_of(response_of(operation, status))
    }
    assert len(documented) > 20
    assert not documented - seen, "documented, and never seen: run all of tests/openapi"
