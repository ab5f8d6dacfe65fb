"""Builds the page that makes a browser a device, into build/page. Needs node and npm; run it with any Python.

``python agents/page/build.py`` installs the pinned npm packages (their scripts are not run), bundles the page and
puts the two runtimes beside it, ONNX Runtime Web's newest for browsers with SIMD and 1.18.0 for those without, and
the licences of all of them.
"""

__all__ = ["main"]

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from notices import notices

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
_RUNTIMES = {
    "simd": (
        "onnxruntime-web",
        ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    ),
    "nosimd": ("onnxruntime-web-nosimd", ("ort.wasm.min.js", "ort-wasm.wasm")),
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
_PROTOCOL = 1


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Builds the page that makes a browser a device.")
    parser.add_argument(
        "--output", type=Path, default=CHECKOUT / "build" / "page", help="default: %(default)s"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="build nothing; say in one line whether the page is absent or old",
    )
    arguments = parser.parse_args(argv)
    output: Path = arguments.output.resolve()
    if arguments.check:
        reason = _why_not(output)
        print(
            reason or f"the page in '{output}' is of today's sources.",
            file=sys.stderr if reason else sys.stdout,
        )
        return 1 if reason else 0
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            print(f"the page needs {tool} to be built: install node 18 or newer.", file=sys.stderr)
            return 1
    npm = output / "npm"
    npm.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, npm / name)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=npm, check=True
    )
    # Whole or not at all: the controller looks for the list, which is written last.
    (output / "files.json").unlink(missing_ok=True)
    site = output / "site"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir()
    bundle = ["node", str(HERE / "bundle.mjs"), str(HERE / "src"), str(CHECKOUT / "protos"), str(site)]
    subprocess.run(bundle, cwd=npm, check=True)
    for name in ("index.html", "page.css"):
        shutil.copy(HERE / name, site / name)
    versions = {kind: _runtime(npm, site, kind) for kind in _RUNTIMES}
    (site / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    try:
        (site / "licences.txt").write_text(notices(npm), encoding="utf-8")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    _write_list(output, site)
    return 0


def _why_not(output: Path) -> str:
    """Why the page cannot be handed on; empty where it can."""
    try:
        listed = json.loads((output / "files.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"no page in '{output}': build it with 'make page' (needs node)."
    if listed.get("sources") == _sources():
        return ""
    return f"the page in '{output}' is of other sources: build it with 'make page' (needs node)."


def _runtime(npm: Path, site: Path, kind: str) -> str:
    """Copies one runtime; returns its version."""
    package, names = _RUNTIMES[kind]
    source = npm / "node_modules" / package
    (site / kind).mkdir()
    for name in names:
        shutil.copy(source / "dist" / name, site / kind / name)
    return str(json.loads((source / "package.json").read_text(encoding="utf-8"))["version"])


def _write_list(output: Path, site: Path) -> None:
    """Compresses what is large, and lists every file with its type."""
    listed = {}
    for path in sorted(one for one in site.rglob("*") if one.is_file() and one.suffix in _TYPES):
        content = path.read_bytes()
        name = path.relative_to(site).as_posix()
        listed[name] = _TYPES[path.suffix]
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
    versions = json.loads((site / "versions.json").read_text(encoding="utf-8"))
    parts = {"protocol": _PROTOCOL, "runtimes": versions, "files": listed, "sources": _sources()}
    text = json.dumps(parts, indent=2)
    partial = output / "files.json.part"
    partial.write_text(text, encoding="utf-8")
    partial.replace(output / "files.json")


def _sources() -> dict[str, str]:
    """SHA-256 of what the page is made of, by path in the checkout.

    The controller tells by it that a page is old, and no wheel is built with an old one.
    """
    made_of = [*HERE.glob("src/*.js"), *(CHECKOUT / "protos" / "fleetnas_protos" / "v1").glob("*.proto")]
    made_of += HERE.glob("licences/*.txt")
    made_of += [
        HERE / name for name in ("index.html", "page.css", "bundle.mjs", "package-lock.json", "notices.py")
    ]
    return {
        one.relative_to(CHECKOUT).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(made_of)
    }


if __name__ == "__main__":
    sys.exit(main())
