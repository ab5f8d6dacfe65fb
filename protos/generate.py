"""Makes the Python code of the .proto files, beside them.

python protos/generate.py            writes it
python protos/generate.py --check    fails when what is committed differs from what would be written
"""

__all__ = ["main"]

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("fleetnas_protos/v1")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Generates the Python code of the .proto files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 on a difference")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        made = _generated(Path(folder))
    kept = _generated(ROOT)
    if args.check:
        return _report(made, kept)
    for name in kept.keys() - made.keys():
        (ROOT / PACKAGE / name).unlink()
    for name, text in made.items():
        (ROOT / PACKAGE / name).write_text(text, encoding="utf-8")
    return 0


def generate(folder: Path) -> None:
    """Writes the code of every .proto under ``folder``.

    Raises:
        SystemExit: protoc refused a file; its own message is on stderr.
    """
    import grpc_tools  # type: ignore[import-untyped]
    from grpc_tools import protoc

    includes = Path(grpc_tools.__file__).parent / "_proto"
    sources = [str(path.relative_to(ROOT)) for path in sorted((ROOT / PACKAGE).glob("*.proto"))]
    outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    # protoc finds its plugins in the folder of this interpreter, whether or not the environment is active.
    tools = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={tools / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{includes}", *plugins, *outputs, *sources]) != 0:
        raise SystemExit(1)


def _generated(root: Path) -> dict[str, str]:
    folder = root / PACKAGE
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*_pb2*"))}


def _report(made: dict[str, str], kept: dict[str, str]) -> int:
    wrong = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    if wrong:
        print(f"not as generated: {', '.join(wrong)}. Run: python protos/generate.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
