"""The bounds that the C states follow from its own tables, by a program that knows no exporter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lenet_export.evidence.check import Case, Check, FailedError, NotRunError, Outcome
from lenet_export.outputs import templates
from lenet_export.plan import Layer

#: A number as the C's comments have it.
NUMBER = r"(-?\d{1,3}(?: \d{3})*)"
#: A row of the table of bounds in the C: layer, number, least, most, type.
ROW = re.compile(
    rf"^ \*     (\w+) +(\S.*?)  +{NUMBER}  +{NUMBER}  (u?int\d+(?:_t)?)$",
    re.MULTILINE,
)
AUDITED = ("acc", "acc * gain", "gap")


def stated(text: str) -> dict[tuple[str, str], tuple[int, int, str]]:
    """What the section Bounds says, by layer and number: least, most, and type."""
    return {
        (layer, number): (int(least.replace(" ", "")), int(most.replace(" ", "")), c_type)
        for layer, number, least, most, c_type in ROW.findall(text)
    }


def program(layers: list[Layer], text: str, implementation: str) -> str:
    """The C of the audit.

    Args:
        layers: those that learn, whose tables lie as the generic kernel has them.
        text: the C, which states the bounds.
        implementation: what includes it.
    """
    said = stated(text)
    rows = [
        {
            "name": layer.name,
            "weights": _reading(layer),
            "outputs": len(layer.weight),
            "has_gain": (layer.name, AUDITED[1]) in said,
            "said": {number: said.get((layer.name, number)) for number in AUDITED},
        }
        for layer in layers
    ]
    template = templates.environment("evidence").get_template("audit.c.j2")
    return template.render(layers=rows, numbers=AUDITED, implementation=implementation.rstrip())


def _stating(layers: list[Layer]) -> Iterator[tuple[str, str]]:
    """The layers and numbers whose bounds the C has to state."""
    for layer in layers:
        yield layer.name, "acc"
        if layer is layers[-1]:
            yield layer.name, "gap"
        elif not layer.norm:
            yield layer.name, "acc * gain"


def _reading(layer: Layer) -> list[int]:
    """How weights are read: bytes, bits, peak and spacing of a word; rows, and weights in one."""
    rows = layer.weight.shape[1] if layer.is_conv else 1
    packing = layer.layout.packing
    fields = [1, 8, 0, 1]
    if packing:
        grid = packing.grid
        fields = [packing.word.itemsize, grid.bits, grid.peak, grid.spacing]
    return [*fields, rows, layer.weight[0].size // rows]


def _run(case: Case) -> Outcome:
    plan = case.plan
    if plan.dtype != "int8":
        raise NotRunError("floats have no such bounds")
    if plan.cpu != "generic":
        raise NotRunError(
            f"the tables lie as the kernels of {plan.cpu} want them; those of --cpu generic, of "
            "the same model id, can be audited"
        )
    layers = [layer for layer in plan.layers if layer.stage.learns]
    said = stated(case.c)
    unstated = [
        (layer, number) for layer, number in _stating(layers) if (layer, number) not in said
    ]
    if unstated:
        raise FailedError("the C states no bounds of {}: {}".format(*unstated[0]))
    text = program(layers, case.c, case.implementation)
    others = len([number for _, number in said if number not in AUDITED])
    case.compile("gcc", text, "-O1")
    lines = case.run(["./check"], may_fail=True).stdout.decode().splitlines()
    case.log.extend(lines)
    wrong = [" ".join(line.split()) for line in lines if not line.endswith("as stated")]
    if wrong:
        raise FailedError(f"{len(wrong)} of {len(lines)} bounds are not the tables': {wrong[0]}")
    says = f"{len(lines)} bounds, worked out from the tables, are as stated"
    if others:
        says += f"; {others} more, of norms, of packed sums and of pools, are not worked out here"
    figures = {"bounds": len(lines), "not_audited": others}
    return Outcome(says, figures)


CHECK = Check(
    "The stated bounds of accumulators are those of the tables",
    "A program, check-audit.c, includes the C, adds up every channel's weights, and compares what "
    "it finds with the C's section Bounds. Build it yourself, beside the C: cc check-audit.c.",
    ("gcc",),
    _run,
)
