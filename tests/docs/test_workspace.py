"""The workspace stays as it must be for a fast first build and a small function.

Run with `pytest tests/docs`; needs pytest and cargo, and compiles nothing.
"""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION = "sentinel-tvm"


def crates(*packages):
    """Each crate that a build of these packages compiles, with its features; without tests and their dependencies."""
    select = [word for package in packages for word in ("--package", package)]
    options = ["--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p} {f}"]
    tree = subprocess.run(["cargo", "tree", *options, *select], cwd=ROOT, check=True, capture_output=True, text=True)
    return {line.removesuffix(" (*)") for line in tree.stdout.splitlines() if line}


@pytest.mark.parametrize("tool", ["local-url", "policy", "schedules", "simulate"])
def test_a_tool_compiles_nothing_twice(tool):
    """A crate whose features differ from the function's is compiled again for the tool, with all that depend on it."""
    assert crates(FUNCTION) - crates(FUNCTION, tool) == set()


def test_running_the_function_compiles_nothing_of_its_tests():
    """`make run` builds these two, and cargo lambda then builds the function alone."""
    names = {crate.split()[0] for crate in crates(FUNCTION, "local-url") - crates(FUNCTION)}
    assert names == {"local-url"}
