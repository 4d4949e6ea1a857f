"""Programs and libraries for Windows, made here by its compilers' kin, and run by Wine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lenet_export import compiled
from needs import missing, require

MINGW = "x86_64-w64-mingw32-gcc"
#: LLVM's compiler as clang-cl, which takes cl's options and links as Visual Studio does.
CLANG_CL = "clang --driver-mode=cl --target=x86_64-pc-windows-msvc -fuse-ld=lld"
#: Where Debian keeps it: the command of that name starts what a program of 32 bits needs, too.
WINE = Path("/usr/lib/wine/wine64")
DLLS = Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")

#: Visual Studio's own library has these, which a library of C takes from it.
RUNTIME = """\
int _fltused = 0;
unsigned long long __security_cookie = 0;
void __security_check_cookie(unsigned long long cookie) { (void)cookie; }
int _DllMainCRTStartup(void *library, unsigned reason, void *reserved)
{
    (void)library, (void)reason, (void)reserved;
    return 1;
}
"""

#: Loads a library as Python does there, reads images from standard input and writes their logits.
LOADER = """\
#include "lenet.h"
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <windows.h>

int main(int argc, char **argv)
{
    static lenet_workspace ws;
    static uint8_t image[LENET_ROWS * LENET_COLUMNS * LENET_CHANNELS];
    HMODULE library = LoadLibraryA(argc == 2 ? argv[1] : "");
    lenet_verdict (*of)(lenet_workspace *, const uint8_t *, LOGIT *);
    int (*self_test)(lenet_workspace *);
    if (!library) {
        return 101;
    }
    *(FARPROC *)&of = GetProcAddress(library, "lenet_logits");
    *(FARPROC *)&self_test = GetProcAddress(library, "lenet_self_test");
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    while (fread(image, sizeof image, 1, stdin) == 1) {
        LOGIT logits[LENET_LOGITS];
        of(&ws, image, logits);
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return self_test(&ws);
}
"""


def library(files, command, flags, folder):
    """The path of a DLL, made of generated C as Python makes it on Windows.

    Args:
        files: the generated ones, bytes by name.
        command: ``$CC`` there: :data:`MINGW` or :data:`CLANG_CL`.
        flags: of the compiler.
        folder: an empty one.
    """
    words = command.split()
    require(words[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WINDOWS", True)
        if command == CLANG_CL:
            patch.setenv("LIB", str(_runtime(folder)))
        return compiled.compile_library(files, "lenet", folder, [*words, *flags])


def _runtime(folder):
    """A folder with what stands for Visual Studio's libraries."""
    of = folder / "runtime"
    of.mkdir()
    (of / "runtime.c").write_text(RUNTIME)
    making = [*CLANG_CL.split(), "/nologo", "/GS-", "/c", "runtime.c"]
    subprocess.run(making, cwd=of, check=True)
    for name in ("libcmt.lib", "oldnames.lib"):
        subprocess.run(
            [require("lld-link"), "/lib", f"/out:{name}", "runtime.obj"], cwd=of, check=True
        )
    return of


def wine(command, given, folder):
    """A finished program of Windows, run by Wine.

    Args:
        command: the program and its arguments.
        given: its standard input, bytes.
        folder: for what Wine takes for a user's files; it is made where it is not there.
    """
    if not WINE.exists():
        missing("Wine", "install the package wine64")
    home = folder / "wine"
    if not home.exists():
        # Its own beginning copies 700 MB. A program without windows needs the libraries alone.
        (home / "dosdevices").mkdir(parents=True)
        (home / "drive_c/windows").mkdir(parents=True)
        (home / "dosdevices/c:").symlink_to("../drive_c")
        (home / "dosdevices/z:").symlink_to("/")
        (home / "drive_c/windows/system32").symlink_to(DLLS)
        (home / ".update-timestamp").write_text("disable")
    env = os.environ | {"WINEPREFIX": str(home), "WINEDEBUG": "-all"}
    return subprocess.run([WINE, *command], input=given, capture_output=True, env=env, timeout=120)


def logits_of(library, plan, images, folder):
    """The logits of images by a DLL, and what its self-test returns."""
    is_int = plan.dtype == "int8"
    (folder / "loader.c").write_text(LOADER.replace("LOGIT ", "int32_t " if is_int else "float "))
    making = [require(MINGW), "-std=c99", "-O1", "-o", "loader.exe", "loader.c"]
    subprocess.run(making, cwd=folder, check=True)
    done = wine([folder / "loader.exe", library], images.tobytes(), folder)
    assert not done.stderr, done.stderr.decode()
    logits = np.frombuffer(done.stdout, np.int32 if is_int else np.float32)
    return logits.reshape(len(images), -1), done.returncode
