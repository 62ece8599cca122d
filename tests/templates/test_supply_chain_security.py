"""What is installed for development, and what builds the function: each package by its version and its hash."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
ASKED = sorted(path.stem for path in REQUIREMENTS.glob("*.in"))


def pins(path):
    """Each requirement of a file with its hashes, by its name as PyPI compares names."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip()):
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ;.*)?", requirement).groups()
        found[re.sub(r"[-_.]+", "-", name).lower()] = version, hashes
    return found


@pytest.mark.parametrize("name", ASKED)
def test_security_each_python_package_has_its_hash(name):
    """THREAT: a package index, or whoever took over a package, serves other files under a version that is pinned; two of these
    packages link the binary that is shipped (cargo-lambda, ziglang).
    PREVENTION: each package is pinned with the hashes of its files, those included that only others need."""
    asked, pinned = pins(REQUIREMENTS / f"{name}.in"), pins(REQUIREMENTS / f"{name}.txt")
    for package, (version, _) in asked.items():
        assert pinned[package][0] == version, package
    for package, (_, hashes) in pinned.items():
        assert hashes, package
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in hashes), package


def test_security_no_file_of_requirements_is_left_out():
    """THREAT: a file of requirements that nobody pins with hashes, or where nobody looks for known weaknesses.
    PREVENTION: each file is made from an input of its name; pip refuses what has no hash; the audit reads all of them, and
    fails if it cannot look up one package."""
    assert ASKED and ASKED == sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in makefile.splitlines() if "pip install" in line]
    assert installs and all("--require-hashes" in line for line in installs)
    (audit,) = [line for line in makefile.splitlines() if "pip-audit" in line]
    assert "for file in requirements/*.txt" in audit and "--strict" in audit and "--require-hashes" in audit


def test_security_each_lock_file_gets_updates():
    """THREAT: a lock file that nobody updates keeps a package with a known weakness.
    PREVENTION: each lock file of the tree is in a directory that the updates name."""
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    watched = {(u["package-ecosystem"], place) for u in updates for place in u.get("directories", [u.get("directory")])}
    locks = {"Cargo.lock": "cargo", "package-lock.json": "npm"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {(locks[path.name], "/" + str(path.parent).strip(".")) for path in map(Path, tracked) if path.name in locks}
    assert len(found) >= 4 and found <= watched, found - watched
    assert ("pip", "/requirements") in watched


def test_security_each_npm_package_has_its_hash():
    """THREAT: a package of the simulator's is replaced, or runs a script of its own when it is installed.
    PREVENTION: `npm ci` takes what the lock file names, from the default registry, with its hash, and runs no scripts."""
    lock = json.loads((ROOT / "tests/iam/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), name
        assert package.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/"), name
    installs = re.findall(r"npm-cli\.js\S* (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert installs and all(line.startswith("ci --ignore-scripts ") for line in installs)
