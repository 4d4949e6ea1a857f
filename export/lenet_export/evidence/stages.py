"""Which stage of the network each executed instruction belongs to, from the debug information."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lenet_export.plan import Layer

REST = "rest"
#: What addr2line is told, so that it says which function is inlined into which.
ASKED = ("--addresses", "--functions", "--inlines")


def name_of(layer: Layer) -> str:
    """What a layer is called in the figures: ``conv1+pool1``, ``fc1``."""
    return layer.name if layer.output in (layer.name, "logits") else f"{layer.name}+{layer.output}"


def attribute(
    addresses: npt.NDArray[np.uint32],
    counts: npt.NDArray[np.uint32],
    program: Path,
    addr2line: str,
    layers: Sequence[Layer],
    prefix: str = "lenet",
) -> dict[str, int]:
    """The counts of each stage, and of the rest; their sum is that of ``counts``.

    A function belongs to a layer if its name begins with the layer's, or with that of its output;
    where functions are inlined into one another, the innermost such name decides. What belongs to
    no layer is the rest if it is a public function or ``push``; otherwise it is a helper, e.g.
    the compiler's division, and counts where it was called.

    Args:
        addresses: of the instructions of one image, in the order in which they ran.
        counts: what each of them took.
        program: the ELF file, with debug information.
        addr2line: the tool chain's.
        layers: the chain.
        prefix: of the public functions.
    """
    names = [*map(name_of, layers), REST]
    unique, places = np.unique(addresses, return_inverse=True)
    chains = _functions(unique, program, addr2line)
    helper = -1
    stage_of = np.array([_stage(chain, layers, prefix, helper) for chain in chains])
    stages = stage_of[places]
    # A helper's instructions take the stage of the last instruction before that was none.
    known = np.maximum.accumulate(np.where(stages == helper, 0, np.arange(len(stages))))
    stages = stages[known]
    assert (stages != helper).all(), "the first instruction belongs to no function of the network"
    sums = np.bincount(stages, counts, len(names))
    return {name: int(total) for name, total in zip(names, sums, strict=True)}


def _stage(chain: Sequence[str], layers: Sequence[Layer], prefix: str, helper: int) -> int:
    """The place of the stage that a chain of inlined functions, innermost first, belongs to."""
    for function in chain:
        for place, layer in enumerate(layers):
            if function.startswith((f"{layer.name}_", f"{layer.output}_")):
                return place
        if function.startswith(f"{prefix}_") or function == "push":
            return len(layers)
    return helper


def _functions(addresses: npt.NDArray[np.uint32], program: Path, addr2line: str) -> list[list[str]]:
    """For each address the functions that it is in, innermost first."""
    done = subprocess.run(
        [addr2line, *ASKED, f"--exe={program}"],
        input="\n".join(f"{address:#x}" for address in addresses),
        capture_output=True,
        text=True,
        check=True,
    )
    found = frames_of(done.stdout)
    assert len(found) == len(addresses), f"{addr2line} answers for {len(found)} addresses"
    return [[function for function, _ in frames] for frames in found]


def frames_of(said: str) -> list[list[tuple[str, str]]]:
    """What addr2line, :data:`ASKED`, says of each address.

    Returns:
        The functions that it is in, innermost first, each with the file and the line.
    """
    found: list[list[tuple[str, str]]] = []
    function = ""
    for line in said.splitlines():
        if line.startswith("0x"):
            found.append([])
        elif function:
            found[-1].append((function, line))
            function = ""
        else:
            function = line
    return found
