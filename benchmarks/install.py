"""What an install is: packages, megabytes, and the time of an export in it.

    python benchmarks/install.py            the wheel alone, and with each extra, each in an
                                            environment of its own that was empty; --update writes
                                            install.json, which the documents quote

Megabytes are those of all files in site-packages, compiled modules included. Seconds are CPU time
of one `lenet-export --no-verify`, the least of five: on an idle machine that is what it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from runs import machine

ROOT = Path(__file__).parents[1]
FIGURES = Path(__file__).with_suffix(".json")
EXTRAS = ("", "verify", "read", "train", "all")
#: Of one who has installed nothing else: no folder of this tree is on Python's path.
EMPTY = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def wheel(folder: Path) -> Path:
    """The wheel of this tree, built into ``folder``."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, env=EMPTY, stdout=subprocess.DEVNULL)
    (built,) = folder.glob("*.whl")
    return built


def install(built: Path, extra: str, folder: Path) -> None:
    """Installs a wheel with an extra, or none, in a new virtual environment, with what it needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, env=EMPTY)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet"]
    wanted = f"{built}[{extra}]" if extra else built
    command = [*pip, "--disable-pip-version-check", wanted]
    subprocess.run(command, check=True, env=EMPTY, cwd=folder, stderr=subprocess.DEVNULL)


def measured(folder: Path) -> dict[str, Any]:
    """What lies in an environment, and how long an export takes there."""
    (packages,) = folder.glob("lib/python*/site-packages")
    command = [folder / "bin/lenet-export", "--no-verify", "--quiet", "--out", folder / "out"]
    took = []
    for _ in range(6):
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, env=EMPTY, cwd=folder)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    return {
        "packages": len(list(packages.glob("*.dist-info"))),
        "megabytes": round(size / 1e6),
        "seconds": round(min(took[1:]), 2),
    }


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("extras", nargs="*", default=EXTRAS, help="default: none, and each")
    parser.add_argument("--update", action="store_true", help="write the figures to install.json")
    options = parser.parse_args(arguments)
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        built = wheel(Path(name))
        for extra in options.extras:
            folder = Path(name) / f"with-{extra}"
            install(built, extra, folder)
            figures[extra] = measured(folder)
            print(extra or "the wheel alone", figures[extra], flush=True)
    if options.update:
        content = {"machine": machine(()), "extras": figures}
        FIGURES.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
