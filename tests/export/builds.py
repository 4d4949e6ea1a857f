"""How programs of C are built with each compiler, and run: here, or by an emulator."""

from __future__ import annotations

import subprocess

from needs import require

SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
BUILDS = {
    "gcc -O2": ("gcc", "-O2"),
    "gcc -O3": ("gcc", "-O3", "-funroll-loops"),
    "clang -O2": ("clang", "-O2"),
    "gcc sanitized": ("gcc", "-O1", *SANITIZED),
    "clang sanitized": ("clang", "-O1", *SANITIZED),
    "gcc -O0": ("gcc", "-O0"),
    "gcc -Os": ("gcc", "-Os"),
}
#: Of other CPUs, run by an emulator; the second has its highest byte first.
EMULATED = {
    "arm-linux-gnueabi-gcc -Os": ("arm-linux-gnueabi-gcc", "-Os", "-static"),
    "powerpc-linux-gnu-gcc -O2": ("powerpc-linux-gnu-gcc", "-O2", "-static"),
}
EMULATORS = {"arm-linux-gnueabi-gcc": "qemu-arm", "powerpc-linux-gnu-gcc": "qemu-ppc"}


def compiled(files, program, build, folder):
    """The command that runs a program with generated C, compiled in one of the builds.

    Args:
        files: the generated ones, bytes by name.
        program: its text.
        build: a name in :data:`BUILDS` or :data:`EMULATED`.
        folder: for all of them.
    """
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "program.c").write_text(program)
    compiler, *flags = (BUILDS | EMULATED)[build]
    command = [require(compiler), "-std=c99", *flags, "-o", folder / "program"]
    subprocess.run([*command, folder / "program.c", folder / "lenet.c"], check=True)
    emulator = EMULATORS.get(compiler)
    return [*([require(emulator)] if emulator else []), folder / "program"]
