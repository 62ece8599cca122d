"""The release of the function: the same bytes each time, and each linked crate in its lists.

Run with `pytest tests/docs`; compiles nothing. `make function-release` builds what is packed here as a stand-in.
"""

import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import function_release as release  # noqa: E402


def program(**sections):
    """A 64-bit ELF file with these sections."""
    names, content, headers = b"\0", b"", [struct.pack("<IIQQQQ", 0, 0, 0, 0, 0, 0) + bytes(24)]
    for name, data in {**sections, ".names": b""}.items():
        headers.append((len(names), 64 + len(content), data))
        names += name.encode() + b"\0"
        content += data
    strings = 64 + len(content)
    content += names
    table = b""
    for header in headers:
        if isinstance(header, tuple):
            name, offset, data = header
            offset, length = (offset, len(data)) if data else (strings, len(names))
            header = struct.pack("<IIQQQQ", name, 1, 0, 0, offset, length) + bytes(24)
        table += header
    start = bytearray(64)
    start[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", start, 0x28, 64 + len(content))
    struct.pack_into("<HHH", start, 0x3A, 64, len(headers), len(headers) - 1)
    return bytes(start) + content + table


CRATES = {"packages": [{"name": "a", "version": "1.0.0"}, {"name": "b", "version": "2.0.0", "kind": "build"}]}
BILL = {"components": [{"name": "a", "version": "1.0.0"}], "metadata": {"component": {"name": "f", "version": "0.1.0"}, "timestamp": "now"}}


def test_the_crates_in_a_program_are_read():
    found = release.embedded(program(**{".text": b"code", ".dep-v0": zlib.compress(json.dumps(CRATES).encode()), ".data": b"x"}))
    assert found == {("a", "1.0.0"), ("b", "2.0.0")}


@pytest.mark.parametrize(("content", "why"), [(program(**{".text": b"code"}), "has no list of its crates"), (b"#!/bin/sh", "not a 64-bit ELF file")])
def test_a_program_without_the_list_is_not_released(content, why):
    with pytest.raises(SystemExit, match=why):
        release.embedded(content)


def test_a_linked_crate_that_a_list_lacks_stops_the_release():
    release.compare({("a", "1.0.0")}, {"the bill": release.listed(BILL)})
    with pytest.raises(SystemExit, match=r"not in the list of the bill: a 1\.0\.1"):
        release.compare({("a", "1.0.1"), ("f", "0.1.0")}, {"the bill": release.listed(BILL)})


def test_the_bill_has_nothing_of_this_run_or_machine():
    random = BILL | {"serialNumber": "urn:uuid:1", "components": [{"bom-ref": f"path+{ROOT.as_uri()}#f"}]}
    text = json.dumps(release.settled(json.loads(json.dumps(random))))
    assert "urn:uuid" not in text and "timestamp" not in text and str(ROOT) not in text


@pytest.mark.skipif(not shutil.which("cargo-cyclonedx"), reason="cargo-cyclonedx is not installed: `make function-release` installs it")
def test_the_bill_of_this_function_lists_each_linked_crate():
    target = release.TARGETS["arm64"]
    bill = release.bill_of_materials(target)
    linked = release.linked(target)
    assert ("sentinel-tvm", release.version()) in linked and len(linked) > 100
    assert not linked - release.listed(bill)
    left = subprocess.run(["git", "status", "--short", "--ignored", "*.json"], cwd=ROOT, capture_output=True, text=True).stdout
    assert f"{release.PACKAGE}.{target}" not in left


def test_the_package_is_the_same_each_time_and_has_the_policy():
    first, second = (release.package(b"program") for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.getinfo("bootstrap").external_attr >> 16 == 0o100755
        policy = {f"policy/{path.relative_to(ROOT / 'policy')}" for path in (ROOT / "policy").rglob("*") if path.is_file()}
        assert set(archive.namelist()) == policy | {"bootstrap"}


def test_security_releases_are_built_twice_and_attested():
    """THREAT: a release that nobody can build again, or that somebody replaced after the build.
    PREVENTION: the workflow builds twice from nothing and compares, publishes checksums, and attests them; only the job that
    publishes may write."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    assert build["strategy"]["matrix"]["arch"] == list(release.TARGETS) and "permissions" not in build
    commands = "\n".join(step.get("run", "") for step in build["steps"])
    assert commands.count("make function-release") == 2 and "diff ../first/SHA256SUMS" in commands
    assert not [step for step in build["steps"] if "cache" in step.get("uses", "") or "cache" in step.get("with", {})]
    assert set(publish["permissions"].values()) == {"write"} and publish["if"] == "github.event_name == 'push'"
    [attest] = [step for step in publish["steps"] if step.get("uses", "").startswith("actions/attest@")]
    assert attest["with"]["subject-checksums"] == "release/SHA256SUMS"
    # Package, bill of materials and licences for each processor.
    assert re.search(r"= (\d+)$", "\n".join(s.get("run", "") for s in publish["steps"]), re.MULTILINE)[1] == str(3 * len(release.TARGETS))


PUBLISHED = {
    "release.yml": ("v1.2.3", [[f"sentinel-tvm-1.2.3-{arch}.{kind}" for kind in ("zip", "cdx.json", "licenses.txt")] for arch in release.TARGETS]),
    "client-release.yml": ("client-v1.2.3", [
        [f"sentinel-1.2.3-{target}" for target in ("x86_64-unknown-linux-musl.tar.gz", "aarch64-unknown-linux-musl.tar.gz", "x86_64-pc-windows-gnu.zip")],
        [f"sentinel-1.2.3-{target}" for target in ("aarch64-apple-darwin.tar.gz", "x86_64-apple-darwin.tar.gz")],
    ]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_security_the_workflow_publishes_exactly_what_the_checksums_name(name, tmp_path):
    """THREAT: a build job leaves one more file, or changes one, and the release has it, beside a list of checksums that looks fine.
    PREVENTION: the job that publishes takes the names from the checksums, and fails if there is another file, one file twice, or
    other bytes. Nothing is published without an attestation, unless a variable of the repository accepts that."""
    tag, jobs = PUBLISHED[name]
    workflow = yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))
    publish = workflow["jobs"]["publish"]
    [check] = [step["run"] for step in publish["steps"] if step.get("name", "").startswith("Check all")]
    [create] = [step["run"] for step in publish["steps"] if step.get("name") == "Create the release"]
    [attest] = [step for step in publish["steps"] if step.get("uses", "").startswith("actions/attest@")]
    assert attest["if"] == "${{ vars.WITHOUT_ATTESTATION != 'accepted' }}"
    assert publish["environment"] == "release"

    def outcome(case, change):
        place = tmp_path / case
        for number, names in enumerate(jobs):
            built = place / "built" / str(number)
            built.mkdir(parents=True)
            for file in names:
                (built / file).write_text(file, encoding="utf-8")
            sums = "".join(f"{hashlib.sha256(file.encode()).hexdigest()}  {file}\n" for file in names)
            (built / "SHA256SUMS").write_text(sums, encoding="utf-8")
        change(place / "built")
        environment = os.environ | {"GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-e", "-c", check], cwd=place, env=environment, capture_output=True, text=True)
        return done.returncode, place

    first = jobs[0][0]
    status, place = outcome("fine", lambda built: None)
    assert status == 0
    stand_in = place / "bin/gh"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    stand_in.chmod(0o755)
    environment = os.environ | {"GITHUB_REF_NAME": tag, "ATTESTED": "", "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}
    called = subprocess.run(["bash", "-e", "-c", create], cwd=place, env=environment, check=True, capture_output=True, text=True)
    uploaded = [line for line in called.stdout.splitlines() if (place / "release" / line).is_file()]
    assert sorted(uploaded) == sorted(["SHA256SUMS", *(file for names in jobs for file in names)])
    for case, change in {
        "one more": lambda built: (built / "0" / f"{first}.exe").write_text("x"),
        "a directory": lambda built: (built / "0" / "sentinel-more").mkdir(),
        "other bytes": lambda built: (built / "0" / first).write_text("x"),
        "one missing": lambda built: (built / "0" / first).unlink(),
        "of another job": lambda built: (built / "1" / first).write_text("x"),
        "twice": lambda built: (built / "1/SHA256SUMS").write_text((built / "1/SHA256SUMS").read_text() + (built / "0/SHA256SUMS").read_text()),
    }.items():
        assert outcome(case, change)[0] != 0, case
