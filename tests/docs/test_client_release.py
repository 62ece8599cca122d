"""The release archives of the client: the same bytes each time, and everything that a user needs in them.

Run with `pytest tests/docs`; needs cargo, and compiles nothing. `make client-release` builds what is packed here as a stand-in.
"""

import hashlib
import importlib.util
import re
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINUX, WINDOWS = "x86_64-unknown-linux-musl", "x86_64-pc-windows-gnu"


def load():
    spec = importlib.util.spec_from_file_location("client_release", ROOT / "scripts" / "client_release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load()


@pytest.fixture
def content(monkeypatch, tmp_path):
    """What is in an archive, with a stand-in for the program and for zig."""
    for library in ("mingw/COPYING", "musl/COPYRIGHT"):
        licence = tmp_path / "zig/lib/libc" / library
        licence.parent.mkdir(parents=True)
        licence.write_text(f"the licence of {library}", encoding="utf-8")
    monkeypatch.setattr(release, "zig", lambda: tmp_path / "zig")

    def of(target, directory):
        program = directory / ("sentinel.exe" if "windows" in target else "sentinel")
        program.write_bytes(windows_program(b"now!") if "windows" in target else b"\x7fELF stand-in")
        completions = {f"completions/{name}": b"complete" for name in release.COMPLETIONS.values()}
        return release.files(target, program, completions)

    return of


def windows_program(time):
    """The beginning of a Windows program that was linked at this time."""
    return b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0\x64\x86\6\0" + time + b"the rest"


def test_a_windows_program_has_no_time_in_it():
    assert release.timeless(windows_program(b"1234")) == release.timeless(windows_program(b"5678")) == windows_program(bytes(4))
    with pytest.raises(SystemExit, match="no PE header"):
        release.timeless(bytes(100))


def packed(target, content, directory):
    path = directory / release.archive_name(target)
    release.write(path, content(target, directory))
    return path


def test_a_linux_archive_has_the_program_its_completions_and_all_licences(content, tmp_path):
    path = packed(LINUX, content, tmp_path)
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive.getmembers()}
        licences = archive.extractfile(f"{path.name.removesuffix('.tar.gz')}/LICENSE").read()
    folder = path.name.removesuffix(".tar.gz")
    libraries = ["C-LIBRARY-LICENSE.txt", "RUST-LIBRARY-LICENSES.html", "THIRD-PARTY-LICENSES.txt"]
    names = ["LICENSE", *libraries, "sentinel", *(f"completions/{name}" for name in release.COMPLETIONS.values())]
    assert sorted(members) == sorted(f"{folder}/{name}" for name in names)
    assert licences == (ROOT / "LICENSE").read_bytes()
    modes = {name.removeprefix(f"{folder}/"): member.mode for name, member in members.items()}
    assert modes.pop("sentinel") == 0o755 and set(modes.values()) == {0o644}
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members.values()} == {(0, 0, "", release.EPOCH)}


def test_a_windows_archive_is_a_zip(content, tmp_path):
    with zipfile.ZipFile(packed(WINDOWS, content, tmp_path)) as archive:
        folder = f"sentinel-{release.version()}-{WINDOWS}"
        assert f"{folder}/sentinel.exe" in archive.namelist()
        assert archive.testzip() is None


@pytest.mark.parametrize("target", [LINUX, WINDOWS])
def test_the_same_content_gives_the_same_bytes(content, tmp_path, target):
    archives = []
    for name in ("one", "two"):
        directory = tmp_path / name
        directory.mkdir()
        archives.append(packed(target, content, directory).read_bytes())
    assert archives[0] == archives[1]
    other = dict(content(target, tmp_path), LICENSE=(b"other", 0o644))
    release.write(tmp_path / release.archive_name(target), other)
    assert (tmp_path / release.archive_name(target)).read_bytes() != archives[0]


def test_checksums_are_what_sha256sum_reads(content, tmp_path):
    paths = [packed(target, content, tmp_path) for target in (LINUX, WINDOWS)]
    sums = release.checksums(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(sums, encoding="utf-8")
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 0
    assert hashlib.sha256(paths[0].read_bytes()).hexdigest() in sums
    paths[0].write_bytes(paths[0].read_bytes() + b"x")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


@pytest.mark.parametrize("target", [LINUX, WINDOWS, "aarch64-apple-darwin"])
def test_every_linked_crate_has_its_licence(target):
    notices = release.notices(target)
    tree = ["cargo", "tree", "--locked", "--package", "sentinel", "--target", target, "--edges", "normal", "--prefix", "none"]
    lines = subprocess.run(tree, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    linked = {tuple(line.split()[:2]) for line in lines if line and "/client)" not in line}
    missing = [name for name, version in linked if f"\n{name} {version[1:]} (" not in notices]
    assert len(linked) > 100 and missing == []
    assert "Permission is hereby granted" in notices and "(None)" not in notices


def test_a_licence_text_stands_once_after_the_crates_that_it_covers():
    notices = release.covered([("b 1 (MIT)", ["same"]), ("a 1 (MIT)", ["same", "more"]), ("c 1 (ISC)", [])])
    assert "a 1 (MIT)\nb 1 (MIT)\n\nsame\n" in notices and notices.count("same") == 1
    assert "c 1 (ISC)\n\n(The crate has no licence file." in notices


def test_security_no_path_of_the_building_machine_is_in_the_program():
    """THREAT: a released program tells where and by whom it was built, and differs between machines.
    PREVENTION: both compilers replace the paths of the sources, for all crates."""
    variables = release.environment()
    for compiler in ("CARGO_ENCODED_RUSTFLAGS", "CFLAGS"):
        assert f"prefix-map={ROOT}=/" in variables[compiler].replace("remap-path-prefix", "prefix-map")
        assert re.search(r"prefix(-map)?=[^= ]*cargo[^= ]*=/cargo", variables[compiler])


def test_security_the_workflow_builds_twice_and_compares():
    """THREAT: an archive has something that its sources do not explain.
    PREVENTION: the workflow builds twice from nothing, and compares the checksums, as that of the function does."""
    build = yaml.safe_load((ROOT / ".github/workflows/client-release.yml").read_text(encoding="utf-8"))["jobs"]["build"]
    commands = "\n".join(step.get("run", "") for step in build["steps"])
    assert commands.count("make client-release") == 2 and "diff ../first/SHA256SUMS" in commands


def test_the_workflow_publishes_every_archive():
    workflow = (ROOT / ".github/workflows/client-release.yml").read_text(encoding="utf-8")
    count = sum(len(targets) for targets in release.TARGETS.values())
    assert f'test "$(wc -l <SHA256SUMS)" = {count}' in workflow
    assert f'sentinel-"${{GITHUB_REF_NAME#client-v}}"-{release.TARGETS["Linux"][0]}.tar.gz' in workflow
    assert release.archive_name(LINUX) == f"sentinel-{release.version()}-{LINUX}.tar.gz"


