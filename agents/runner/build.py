"""Builds the native runner from registry packages alone: ``python agents/runner/build.py TARGET``.

ncnn's C++ source comes in its source distribution on PyPI, cmake and ninja from there too; the cross compilers are
the system's (Debian: ``g++-aarch64-linux-gnu``, ``g++-arm-linux-gnueabihf``). Needs nothing but the standard library.
The result is ``build/runner/TARGET/fleetnas-runner``, one static file; what is already built is not built again.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

NCNN_RELEASE = "20261020"
NCNN_SHA256 = "ad8cdd63e9755cfa8e23b9b6d9ce46156077d80298a89e7c3ba325ffccfca200"
TOOLS = ("setuptools==84.2.1", "cmake==4.4.4", "ninja==1.13.2")

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "runner"
# Target -> compiler and the Debian package that brings it.
COMPILERS = {
    "x86_64": ("g++", "g++"),
    "aarch64": ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu"),
    "armv7": ("arm-linux-gnueabihf-g++", "g++-arm-linux-gnueabihf"),
}

# ncnn's setup.py takes its version from today's date, and pip refuses a package whose version is another than asked
# for. So the day of the release is told to that one call of strftime.
RELEASE_DAY = f"""\
import time
_strftime = time.strftime
time.strftime = lambda pattern, *rest: "{NCNN_RELEASE}" if pattern == "%Y%m%d" else _strftime(pattern, *rest)
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=sorted(COMPILERS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time")
    args = parser.parse_args()
    compiler, package = COMPILERS[args.target]
    if shutil.which(compiler) is None:
        print(
            f"runner: no '{compiler}' here, which builds for {args.target}: apt-get install {package}",
            file=sys.stderr,
        )
        return 1
    try:
        print(build(args.target, args.jobs))
    except subprocess.CalledProcessError as error:
        print(f"runner: '{' '.join(map(str, error.cmd[:4]))} ...' failed, see above", file=sys.stderr)
        return 1
    return 0


def build(target: str, jobs: int) -> Path:
    """Returns the runner's path."""
    tools = install_tools()
    source = unpack(download(tools))
    folder = BUILD / target
    toolchain = HERE / "toolchains" / f"{target}.cmake"
    options = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"] if toolchain.exists() else []
    run(
        tools / "cmake", "-S", HERE, "-B", folder, "-G", "Ninja", "--log-level=ERROR",
        "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}", f"-DNCNN_SOURCE={source}",
        f"-DNCNN_RELEASE={NCNN_RELEASE}", f"-DFLEETNAS_TARGET={target}", *options,
    )  # fmt: skip
    run(tools / "cmake", "--build", folder, "--parallel", str(jobs))
    return folder / "fleetnas-runner"


def install_tools() -> Path:
    """The build tools in an environment of their own; returns its folder of commands."""
    folder = BUILD / "tools"
    done = folder / "done"
    wanted = "\n".join(TOOLS)
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        run(
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *TOOLS,
        )
        done.write_text(wanted)
    return folder / "bin"


def download(tools: Path) -> Path:
    """ncnn's source distribution, checked."""
    archive = BUILD / f"ncnn-1.0.{NCNN_RELEASE}.tar.gz"
    if not archive.exists():
        day = BUILD / "release_day"
        day.mkdir(exist_ok=True)
        (day / "sitecustomize.py").write_text(RELEASE_DAY)
        run(
            tools / "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--no-binary", ":all:", "--no-build-isolation", "-d", BUILD, f"ncnn==1.0.{NCNN_RELEASE}",
            PYTHONPATH=str(day),
        )  # fmt: skip
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != NCNN_SHA256:
        archive.unlink()
        sys.exit(
            f"runner: '{archive.name}' has the digest {found}, not {NCNN_SHA256}; it was deleted, try again"
        )
    return archive


def unpack(archive: Path) -> Path:
    source = BUILD / archive.name.removesuffix(".tar.gz")
    if not source.exists():
        partial = BUILD / "unpacking"
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
        (partial / source.name).rename(source)
        partial.rmdir()
    return source


def run(*command: object, **environment: str) -> None:
    subprocess.run([str(one) for one in command], check=True, env=os.environ | environment, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
