"""The stacks: four of them, because some replies need other settings. Each starts in about two seconds."""

import pytest
from stacks import CUT_OFF, LOCKED, ROOMY, TIGHT, ApiStack, isolate


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts a stack with these settings."""
    isolate("SENTINEL_", "MDM_")
    return lambda name, settings: ApiStack(tmp_path_factory.mktemp(name) / "state", settings)


@pytest.fixture(scope="session")
def stack(start):
    """The stack for whatever needs no other."""
    with start("roomy", ROOMY) as running:
        running.block("blocked")
        yield running


@pytest.fixture(scope="session")
def tight(start):
    with start("tight", TIGHT) as running:
        yield running


@pytest.fixture(scope="session")
def locked(start):
    with start("locked", LOCKED) as running:
        yield running


@pytest.fixture(scope="session")
def cut_off(start):
    with start("cut-off", CUT_OFF) as running:
        yield running


def pytest_collection_modifyitems(items):
    """What looks at the whole run comes last."""
    items.sort(key=lambda item: item.path.name == "test_reached.py")
