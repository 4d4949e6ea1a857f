"""Builds the firmware for a core, runs images on its emulated board, and reads the record.

The presets of CMakePresets.json name the cores; c_runtime/firmware/main.c describes the record.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[1]
#: The numbers of a record behind those of the images.
AT_THE_END = 7


@dataclass(frozen=True)
class Record:
    """What a run on a board gave.

    Attributes:
        logits: int32 ``(images, outputs)``.
        counts: int64 ``(images,)``: what ``lenet_logits`` took for each image, instructions, or on
            the AVR cycles, less those of an empty function; 0 on the host.
        stack: the bytes of stack that ``lenet_logits`` needs, measured; 0 on the host.
        self_test_stack: the same of ``lenet_self_test``.
        steps: how many a self-test has.
        steps_count: what they count in all; 0 on the host.
        step_count: what the longest counts; 0 on the host.
        longest_step: which it is, from 0.
        self_test: what ``lenet_self_test`` returned: 0 if it passed.
    """

    logits: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    stack: int
    self_test_stack: int
    steps: int
    steps_count: int
    step_count: int
    longest_step: int
    self_test: int


@dataclass(frozen=True)
class Firmware:
    """A build folder."""

    folder: Path

    @property
    def program(self) -> Path:
        """The firmware, an ELF file."""
        return self.folder / "firmware"

    @property
    def generated(self) -> Path:
        """The folder of the exported ``lenet.c`` and ``lenet.h``."""
        return self.folder / "c_runtime/firmware/lenet-export/firmware_model"

    def emulate(
        self, program: Path, *files: Path | str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of the build on its board; its console is text, both streams in one.

        Args:
            program: the firmware, or another program of the build.
            files: what the script ``emulate`` takes more: an input and an output.
            variables: of the environment: ``QEMU_OPTIONS``.
        """
        return subprocess.run(
            [self.folder / "emulate", program, *files],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )

    def compile_again(self, *command: str) -> None:
        """Puts ``lenet.c`` into the firmware as another compiler makes it.

        Args:
            command: the compiler and its flags.
        """
        (compiled,) = self.folder.rglob("lenet.c.obj")
        source = ["-std=c99", "-c", "-o", compiled, self.generated / "lenet.c"]
        for parts in ([*command, *source], ["cmake", "--build", self.folder]):
            subprocess.run([*map(str, parts)], check=True, capture_output=True)

    def run(self, images: npt.NDArray[np.uint8], outputs: int = 10, emulators: int = 1) -> Record:
        """Runs uint8 images, the first axis counts them; several emulators share them out.

        Raises:
            RuntimeError: the firmware ended without a whole record.
        """
        with ThreadPoolExecutor(emulators) as pool:
            parts = pool.map(
                lambda part: self._run(part, outputs), np.array_split(images, emulators)
            )
        first, *others = list(parts)
        return replace(
            first,
            logits=np.concatenate([part.logits for part in (first, *others)]),
            counts=np.concatenate([part.counts for part in (first, *others)]),
        )

    def _run(self, images: npt.NDArray[np.uint8], outputs: int) -> Record:
        with tempfile.TemporaryDirectory() as folder:
            source, record = Path(folder, "images"), Path(folder, "record")
            source.write_bytes(images.tobytes())
            done = self.emulate(self.program, source, record)
            data = record.read_bytes() if record.exists() else b""
        size = len(images) * (outputs + 1)
        if done.returncode not in (0, 1) or len(data) != 4 * (size + AT_THE_END):
            raise RuntimeError(
                f"{self.program}: exit status {done.returncode}, a record of {len(data)} bytes, "
                f"expected {4 * (size + AT_THE_END)}\n{done.stdout}"
            )
        numbers = np.frombuffer(data, "<i4")
        rows = numbers[:size].reshape(len(images), -1)
        counts = rows[:, -1].astype(np.int64) & 0xFFFFFFFF
        return Record(rows[:, :-1].astype(np.int32), counts, *map(int, numbers[size:]))


def build(
    preset: str,
    folder: Path,
    cpu: str | None = None,
    optimize: str | None = None,
    model: Path | None = None,
    target: str = "all",
    **variables: str,
) -> Firmware:
    """Configures and builds a preset in ``folder``.

    Args:
        preset: ``cortex-m4``, ``avr``, ``host`` and so on.
        folder: an empty one, or that of an earlier build.
        cpu: ``--cpu`` of lenet-export; default: the preset's.
        optimize: ``--optimize`` of lenet-export; default: not given.
        model: a ``model.safetensors``; default: the bundled one.
        target: what to build; of ``host`` the firmware is a small part.
        variables: more of CMake's variables, such as ``CMAKE_C_FLAGS_RELEASE="-Os"``.

    Raises:
        RuntimeError: it cannot be built; the message is what CMake or the compiler said.
    """
    given = {"LENET_CPU": cpu, "LENET_OPTIMIZE": optimize, "LENET_MODEL": model} | variables
    beside = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    options = [f"-D{name}={value}" for name, value in given.items() if value is not None]
    for command in (
        ["cmake", "--preset", preset, "-B", folder, *options],
        ["cmake", "--build", folder, "--target", target],
    ):
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return Firmware(Path(folder))
