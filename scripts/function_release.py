"""Builds what a release of the function consists of, for one processor.

    function_release.py DIRECTORY arm64|x86_64

DIRECTORY gets the package that Lambda takes (program and starter policy), its bill of materials (CycloneDX), the licences of what is
linked into the program, and SHA256SUMS of all files there. The program also has a list of its crates in itself, as cargo-auditable
writes it. Each crate that cargo links has to be in both lists; the second one may have more, which features of the tests bring.

The same sources, compiler and tools give the same bytes: names are sorted, times are fixed, no path of this machine is in the program,
and nothing in the bill of materials is random.
"""

import hashlib
import json
import os
import struct
import sys
import tomllib
import zlib
from pathlib import Path

import client_release

ROOT = client_release.ROOT
PACKAGE = "sentinel-tvm"
TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# Where cargo-auditable puts the list: its name is fixed, its content is compressed JSON.
SECTION = b".dep-v0"


def main(arguments):
    match arguments:
        case [directory, architecture] if architecture in TARGETS:
            release(Path(directory), architecture)
        case _:
            sys.exit(__doc__.strip())


def release(directory, architecture):
    directory.mkdir(parents=True, exist_ok=True)
    program = build(architecture)
    bill = bill_of_materials(TARGETS[architecture])
    compare(linked(TARGETS[architecture]), {"the bill of materials": listed(bill), "the program": embedded(program)})
    name = f"{PACKAGE}-{version()}-{architecture}"
    (directory / f"{name}.zip").write_bytes(package(program))
    (directory / f"{name}.cdx.json").write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (directory / f"{name}.licenses.txt").write_text(client_release.notices(TARGETS[architecture], PACKAGE), encoding="utf-8")
    sums = checksums(directory)
    (directory / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]


def build(architecture):
    """The program, with the list of its crates in it."""
    processor = "--arm64" if architecture == "arm64" else "--x86-64"
    client_release.run("cargo", "auditable", "lambda", "build", "--locked", "--release", processor, env=client_release.environment())
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    return (target / "lambda" / PACKAGE / "bootstrap").read_bytes()


def package(program, policy=ROOT / "policy"):
    """The zip for Lambda: what `make build` puts into it."""
    files = {f"policy/{path.relative_to(policy)}": (path.read_bytes(), 0o100644) for path in policy.rglob("*") if path.is_file()}
    files["bootstrap"] = (program, 0o100755)
    return client_release.zipped([(name, *files[name]) for name in sorted(files)])


def bill_of_materials(target):
    """What is linked into the program of a target: a CycloneDX document without what differs from run to run."""
    name = f"{PACKAGE}.{target}"
    written = ROOT / f"{name}.json"
    try:
        client_release.run(
            "cargo", "cyclonedx", "--manifest-path", str(ROOT / "Cargo.toml"), "--format", "json", "--spec-version", "1.5",
            "--target", target, "--no-build-deps", "--override-filename", name,
        )
        document = json.loads(written.read_text(encoding="utf-8"))
    finally:
        for made in [written, *ROOT.glob(f"client/{name}.json"), *ROOT.glob(f"tools/*/{name}.json")]:
            made.unlink(missing_ok=True)
    return settled(document)


def settled(document):
    """Without the serial number, the time and the paths of this machine."""
    document.pop("serialNumber", None)
    document.get("metadata", {}).pop("timestamp", None)
    text = json.dumps(document)
    for form in (ROOT.as_uri(), str(ROOT)):
        text = text.replace(form, "")
    return json.loads(text)


def embedded(program):
    """The crates that cargo-auditable wrote into a program: names and versions. Exits if there is no such list."""
    content = section(program)
    if content is None:
        sys.exit("the program has no list of its crates: is cargo-auditable installed, and did it run?")
    return {(it["name"], it["version"]) for it in json.loads(zlib.decompress(content))["packages"]}


def section(program):
    """The content of the section in a 64-bit little-endian ELF file; None if it has none."""
    if program[:6] != b"\x7fELF\x02\x01":
        sys.exit("the program is not a 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", program, 0x28)
    size, count, names = struct.unpack_from("<HHH", program, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", program, table + number * size) for number in range(count)]
    start = headers[names][4]
    for name, _, _, _, offset, length in headers:
        if program[start + name :].startswith(SECTION + b"\0"):
            return program[offset : offset + length]
    return None


def linked(target):
    """The crates that cargo links into the program of a target: names and versions."""
    tree = client_release.run(
        "cargo", "tree", "--locked", "--package", PACKAGE, "--target", target,
        "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}",
    )
    return {(name, number.removeprefix("v")) for name, number, *_ in map(str.split, tree.decode().splitlines())}


def listed(bill):
    return {(it["name"], it["version"]) for it in [*bill["components"], bill["metadata"]["component"]]}


def compare(crates, lists):
    """Exits if a crate that is linked is missing in a list."""
    for where, known in lists.items():
        missing = sorted(f"{name} {number}" for name, number in crates - known)
        if missing:
            sys.exit(f"linked, but not in the list of {where}: {', '.join(missing)}")


def checksums(directory):
    files = sorted(path for path in directory.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


if __name__ == "__main__":
    main(sys.argv[1:])
