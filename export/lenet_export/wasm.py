"""Generated C as WebAssembly, by a compiler for it that is there: clang with lld, or Zig's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from lenet_export.compiled import given_compiler
from lenet_export.errors import UserError

#: No library and no program, but functions that a page calls: those that the C marks as visible.
FLAGS = (
    *("-std=c99", "-Os", "-ffreestanding", "-fno-builtin", "-fvisibility=hidden", "-nostdlib"),
    *("-Wl,--no-entry", "-Wl,--export-dynamic", "-Wl,--strip-all"),
)
REMEDY = (
    'install clang and lld (Debian: apt-get install clang lld), or pip install "lenet-export[web]"'
)


def compilers() -> list[list[str]]:
    """The commands of this machine that may compile for WebAssembly, the best first.

    Raises:
        UserError: ``$CC`` is no command.
    """
    given = given_compiler()
    clangs = [given] if given and "clang" in Path(given[0]).name else []
    clangs += [["clang"]] if ["clang"] not in clangs else []
    found = [[*clang, "--target=wasm32"] for clang in clangs if shutil.which(clang[0])]
    if find_spec("ziglang"):
        found.append([sys.executable, "-m", "ziglang", "cc", "--target=wasm32-freestanding"])
    return found


def compiled(files: dict[str, bytes], source: str) -> bytes:
    """A module of WebAssembly that imports nothing.

    Args:
        files: C by name.
        source: the one that includes the others.

    Raises:
        UserError: no compiler of this machine makes one.
    """
    refused = ""
    try:
        with tempfile.TemporaryDirectory(prefix="lenet-export-") as folder:
            for name, data in files.items():
                (Path(folder) / name).write_bytes(data)
            module = Path(folder) / "module.wasm"
            env = os.environ | {"ZIG_GLOBAL_CACHE_DIR": folder}  # it would leave one at home
            for command in compilers():
                done = subprocess.run(
                    [*command, *FLAGS, "-o", module.name, source],
                    cwd=folder, env=env, capture_output=True, text=True, errors="replace",
                )  # fmt: skip
                if not done.returncode:
                    return module.read_bytes()
                said = [line for line in done.stderr.splitlines() if "error" in line]
                refused += f": {' '.join(command)}: {(said or ['it says nothing'])[0]}"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            "temporary folder", f"cannot be used to compile: {reason}", "set TMPDIR to another"
        ) from None
    what = "needs a compiler for WebAssembly, and "
    what += f"this machine's cannot{refused}" if refused else "there is none"
    raise UserError("--target web", what, REMEDY)
