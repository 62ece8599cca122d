"""Builds the release archives of `sentinel`, the client, for the systems that this machine can build for.

    client_release.py DIRECTORY

On Linux these are Linux and Windows, with zig as the C compiler and linker. On macOS these are both processors of macOS, whose
libraries only Apple's own SDK has. Each archive holds the program, the completions of each shell, and the licences of everything that
is linked into the program. SHA256SUMS has the checksum of each archive in DIRECTORY.

The same sources, compiler and tools give the same bytes: names are sorted, times and owners are fixed, and no path of this machine
is in the program.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import struct
import subprocess
import sys
import tarfile
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# For the system that builds: the targets. The Linux program is static, so it runs on every distribution.
TARGETS = {
    "Linux": ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-pc-windows-gnu"],
    "Darwin": ["aarch64-apple-darwin", "x86_64-apple-darwin"],
}
# The name of a shell's completions is the one that the shell looks for.
COMPLETIONS = {
    "bash": "sentinel.bash",
    "elvish": "sentinel.elv",
    "fish": "sentinel.fish",
    "powershell": "_sentinel.ps1",
    "zsh": "_sentinel",
}
LICENCE = re.compile(r"(?i)(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?")
# A larger program is a mistake: a dependency that nobody wanted, or another profile.
MOST_BYTES = 7_000_000
# The earliest time that a zip can hold.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", 315_532_800))


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__.strip())
    directory = Path(arguments[0])
    targets = TARGETS.get(platform.system())
    if not targets:
        sys.exit(f"release archives are built on Linux and macOS, not on {platform.system()}")
    directory.mkdir(parents=True, exist_ok=True)
    programs = {target: build(target) for target in targets}
    completions = completed(programs[own(targets)])
    for target, program in programs.items():
        write(directory / archive_name(target), files(target, program, completions))
    (directory / "SHA256SUMS").write_text(checksums(directory), encoding="utf-8", newline="\n")
    print(checksums(directory), end="")


def version():
    """The client's version."""
    return tomllib.loads((ROOT / "client" / "Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]


def archive_name(target):
    return f"sentinel-{version()}-{target}.{'zip' if 'windows' in target else 'tar.gz'}"


def own(targets):
    """The target whose program runs on this machine: it prints the completions, which are the same for all."""
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    for target in targets:
        if target.startswith(f"{machine}-") and "windows" not in target:
            return target
    sys.exit(f"release archives are built on x86_64 and aarch64, not on {machine}")


def build(target):
    """Builds the program of a target. Returns its place."""
    run("rustup", "target", "add", target)
    # Alone, `cargo zigbuild` has no name for its subcommand: it is the program's own.
    command = ["cargo", "build"] if "apple" in target else ["cargo-zigbuild", "zigbuild"]
    run(*command, "--locked", "--profile", "client", "--package", "sentinel", "--target", target, env=environment())
    built = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / target / "client"
    program = built / ("sentinel.exe" if "windows" in target else "sentinel")
    if program.stat().st_size > MOST_BYTES:
        sys.exit(f"{program} has {program.stat().st_size} bytes, more than {MOST_BYTES}")
    return program


def environment():
    """The variables of a build that leaves no path of this machine in the program."""
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    paths = {ROOT: "/sentinel-tvm", cargo: "/cargo"}
    rust = [f"--remap-path-prefix={path}={name}" for path, name in paths.items()]
    c = [f"-ffile-prefix-map={path}={name}" for path, name in paths.items()]
    own = {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(rust), "CFLAGS": " ".join(c), "AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}
    return {**os.environ, **own}


def completed(program):
    """The completions of each shell, by their path in the archive."""
    return {f"completions/{name}": run(program, "completion", shell) for shell, name in COMPLETIONS.items()}


def files(target, program, completions):
    """What is in an archive: path, content and mode."""
    content = program.read_bytes()
    found = {program.name: (timeless(content) if "windows" in target else content, 0o755), "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644)}
    found["THIRD-PARTY-LICENSES.txt"] = (notices(target).encode(), 0o644)
    found.update({path: (content, 0o644) for path, content in library_licences(target).items()})
    found.update({path: (content, 0o644) for path, content in completions.items()})
    return found


def timeless(program):
    """A Windows program without the time at which it was linked, which is 8 bytes after the mark of the header ("PE Format", COFF file
    header). Nothing reads it: the program has neither a checksum nor a signature."""
    (header,) = struct.unpack_from("<I", program, 0x3C)
    if program[header : header + 4] != b"PE\0\0":
        sys.exit("what was built for Windows has no PE header")
    return program[: header + 8] + bytes(4) + program[header + 12 :]


def library_licences(target):
    """The licences of the Rust library, from the toolchain, and of the C library that zig links."""
    toolchain = Path(run("rustc", "--print", "sysroot").decode().strip())
    found = {"RUST-LIBRARY-LICENSES.html": (toolchain / "share/doc/rust/COPYRIGHT-library.html").read_bytes()}
    if "apple" not in target:
        library = "mingw/COPYING" if "windows" in target else "musl/COPYRIGHT"
        found["C-LIBRARY-LICENSE.txt"] = (zig() / "lib/libc" / library).read_bytes()
    return found


def zig():
    """The directory of zig, which is a package of the Python that runs this."""
    found = importlib.util.find_spec("ziglang")
    if not found:
        sys.exit("zig is missing: run `make client-release`, which installs it")
    return Path(found.origin).parent


def notices(target, package="sentinel"):
    """The licences of all crates that are linked into the program of a package and target. Each text once, after the crates that it covers."""
    tree = run("cargo", "tree", "--locked", "--package", package, "--target", target, "--edges", "normal", "--prefix", "none", "--format", "{p}")
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    linked = {tuple(line.split()[:2]) for line in tree.decode().splitlines()}
    packages = [it for it in metadata["packages"] if (it["name"], f"v{it['version']}") in linked and it["source"]]
    return covered([(f"{it['name']} {it['version']} ({it['license']})", texts(Path(it["manifest_path"]).parent)) for it in packages])


def texts(directory):
    """The texts of a crate's licence files."""
    names = sorted(path for path in directory.iterdir() if path.is_file() and LICENCE.fullmatch(path.name))
    return [path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip() for path in names]


def covered(crates):
    """One document of what each of `crates` is licensed under: pairs of a name and its texts."""
    by_text = {}
    for name, own_texts in sorted(crates):
        for text in own_texts or ["(The crate has no licence file. The licence is the one in parentheses.)"]:
            by_text.setdefault(text, []).append(name)
    parts = [f"{chr(10).join(dict.fromkeys(names))}\n\n{text}\n" for text, names in by_text.items()]
    return "The programs and libraries that are linked into sentinel, and their licences.\n\n" + f"{'=' * 80}\n\n".join(parts)


def write(path, content):
    """Writes an archive whose bytes depend on `content` only."""
    folder = path.name.removesuffix(".zip").removesuffix(".tar.gz")
    entries = [(f"{folder}/{name}", *content[name]) for name in sorted(content)]
    path.write_bytes(zipped(entries) if path.suffix == ".zip" else tarred(entries))


def tarred(entries):
    plain, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), mode, EPOCH
            tar.addfile(entry, io.BytesIO(data))
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0, compresslevel=9) as compressed:
        compressed.write(plain.getvalue())
    return packed.getvalue()


def zipped(entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data, mode in entries:
            entry = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, mode << 16, 3
            archive.writestr(entry, data)
    return packed.getvalue()


def checksums(directory):
    """The checksums of all archives of a directory, as `sha256sum --check` reads them."""
    archives = sorted([*directory.glob("*.tar.gz"), *directory.glob("*.zip")])
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives)


def run(*command, env=None):
    """Runs a command at the root of the repository, and returns what it prints."""
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
