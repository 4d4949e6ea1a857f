"""``docs/neuron.md`` and its figure: one image from a pixel to the verdict, number by number.

python docs/site/neuron.py    writes them again; a test holds them to the code

All numbers come from the bundled model, the picture in ``c_runtime/examples`` and the reference;
the C that is quoted is that of the committed export.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import numpy.typing as npt

from lenet_export import bundled, reference
from lenet_export.checkpoint import Model
from lenet_export.evidence import pictures
from lenet_export.outputs.web import functions_of
from lenet_export.plan import Plan, make_plan
from lenet_export.verdict import readings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/neuron.md"
FIGURE = ROOT / "docs/neuron.svg"
IMAGE = ROOT / "c_runtime/examples/digit.pgm"
GENERATED = ROOT / "c_runtime/generated/lenet.c"
MAX_ERROR = 0.002

#: The unit of conv1's maps that is followed, and the place of its pool's window that is shown.
ROW, COLUMN, CHANNEL = 5, 6, 1
CORNER = (1, 1)

#: What is no head, table or picture.
PARAGRAPH = re.compile(r"^(?![#|!\n]).+(?:\n(?!\n).+)*", re.MULTILINE)

Array = npt.NDArray[Any]


class Sum(NamedTuple):
    """How a number is added up, in integers and in floats.

    Attributes:
        codes: what is multiplied, int64 of any shape.
        weights: by what, of that shape.
        bias: to which the products are added.
        acc: the sum.
        values: the floats that the codes stand for, before any rounding.
        kernel: the weights as they were trained.
        float_bias: likewise.
        z: the sum.
        unit: what 1 of ``acc`` stands for.
    """

    codes: Array
    weights: Array
    bias: int
    acc: int
    values: Array
    kernel: Array
    float_bias: float
    z: float
    unit: float

    @property
    def products(self) -> Array:
        """Of the codes and weights."""
        return self.codes * self.weights

    @property
    def float_products(self) -> Array:
        """Of the floats."""
        return self.values * self.kernel


class Activated(NamedTuple):
    """What an accumulator becomes: ``index = acc * gain >> shift``, ``code = table[index]``."""

    gain: int
    shift: int
    index: int
    code: int
    offset: int  # of the bias, for the middle of the table
    value: float  # of the float sum


class Worked:
    """One image's numbers, in integers and in floats."""

    def __init__(self, model: Model, plan: Plan, image: Array) -> None:
        """Runs the integer network and the float one, in float64, on ``image``."""
        self.model, self.layers = model, {layer.name: layer for layer in plan.layers}
        floats = reference.network(make_plan(model, "float32"), image)
        codes = reference.network(plan, image)
        self.values = {"image": image[0] / 255} | {name: x[0] for name, x in floats.items()}
        self.codes = {"image": image[0]} | {name: x[0] for name, x in codes.items()}
        self.codes = {name: x.astype(np.int64) for name, x in self.codes.items()}

    def sum(self, name: str, source: str, of: int, place: tuple[int, int] = (0, 0)) -> Sum:
        """The sum of output ``of`` of layer ``name``; it reads ``source``, from ``place`` on."""
        layer = self.layers[name]
        codes, values = (
            self.met(name, x[source], place).squeeze() for x in (self.codes, self.values)
        )
        weights = layer.weight[of].astype(np.int64).reshape(codes.shape)
        kernel = self.model.params[f"{name}/kernel"][..., of].astype(np.float64)
        kernel = kernel.reshape(codes.shape)
        bias, float_bias = int(layer.bias[of]), float(self.model.params[f"{name}/bias"][of])
        acc, z = bias + int((codes * weights).sum()), float_bias + float((values * kernel).sum())
        unit = float(layer.integers.weight_scale[of]) * layer.integers.input_scale
        return Sum(codes, weights, bias, acc, values, kernel, float_bias, z, unit)

    def met(self, name: str, x: Array, place: tuple[int, int]) -> Array:
        """What an output of layer ``name`` sees of ``x``, its source."""
        layer = self.layers[name]
        if layer.stage.kernel is None:
            return x.ravel()
        rows, columns = layer.stage.kernel
        padded = np.pad(x, (*layer.padding, (0, 0)))
        return padded[place[0] : place[0] + rows, place[1] : place[1] + columns]

    def table(self, name: str) -> Array:
        """The activation's table of layer ``name``."""
        return self.layers[name].integers.requantize.activation.table

    def activated(self, name: str, of: int, added: Sum) -> Activated:
        """What the sum ``added`` becomes."""
        requantize, table = self.layers[name].integers.requantize, self.table(name)
        gain, shift = int(requantize.gain[of]), requantize.shift
        index = min(max(added.acc * gain >> shift, 0), len(table) - 1)
        offset = round(len(table) / 2 * 2**shift / gain)
        value = 1 / (1 + np.exp(-added.z))
        return Activated(gain, shift, index, int(table[index]), offset, float(value))


def told() -> dict[str, Any]:
    """All that the page and its figure say."""
    model = bundled.load("mnist")
    plan = make_plan(model, "int8", max_error=MAX_ERROR)
    image = np.frombuffer(IMAGE.read_bytes()[-784:], np.uint8).reshape(1, 28, 28, 1)
    worked = Worked(model, plan, image)
    codes, values = worked.codes, worked.values

    corners = [(2 * ROW + i, 2 * COLUMN + j) for i in (0, 1) for j in (0, 1)]
    sums = [worked.sum("conv1", "image", CHANNEL, place) for place in corners]
    four = [worked.activated("conv1", CHANNEL, added) for added in sums]
    shown = 2 * CORNER[0] + CORNER[1]
    digit = int(codes["fc3"].argmax())
    # Backwards from the winner: of each layer the unit that adds most to it.
    last = worked.sum("fc3", "fc2", digit)
    unit2 = int(last.products.argmax())
    second = worked.sum("fc2", "fc1", unit2)
    unit1 = int(second.products.argmax())
    first = worked.sum("fc1", "conv2", unit1)
    row, column, channel = np.unravel_index(first.products.argmax(), codes["conv2"].shape)
    reading = readings(plan, image, codes["fc3"][None].astype(np.int32))
    gap, order = int(reading.gaps[0]), np.argsort(codes["fc3"])[::-1]
    assert codes["conv1"][ROW, COLUMN, CHANNEL] == (sum(one.code for one in four) + 2) // 4
    assert codes["fc3"][digit] == last.acc
    return {
        "image": image[0, :, :, 0],
        "codes": codes,
        "values": values,
        "corner": corners[shown],
        "place": sums[shown],
        "at": four[shown],
        "sums": sums,
        "four": four,
        "pooled": int(codes["conv1"][ROW, COLUMN, CHANNEL]),
        "dense": first,
        "dense_at": worked.activated("fc1", unit1, first),
        "units": (unit1, unit2),
        "seen": (int(row), int(column), int(channel)),
        "parts": first.products.reshape(25, 16).sum(0),
        "float_parts": first.float_products.reshape(25, 16).sum(0),
        "logit": last,
        "digit": digit,
        "second": int(order[1]),
        "very_last": worked.sum("fc3", "fc2", 9),
        "gap": gap,
        "scale": plan.logit_scale,
        "biggest": int(abs(codes["fc3"]).max()),
        "table": worked.table("conv1").tolist(),
        "threshold": plan.threshold,
        "accepted": bool(reading.verdicts[0] == 0),
        "multiply_adds": sum(layer.multiply_adds for layer in plan.layers),
        "c": {name: of["text"] for name, of in functions_of(GENERATED.read_text()).items()},
    }


def grid(numbers: Array, title: str, form: str = "d") -> str:
    """Numbers as lines of text below their title, right-aligned."""
    texts = [[format(one, form) for one in row] for row in numbers.tolist()]
    width = max(len(text) for row in texts for text in row)
    return "\n".join([title, *("  ".join(text.rjust(width) for text in row) for row in texts)])


def beside(*blocks: str) -> str:
    """Blocks of text of as many lines, side by side."""
    lines = [block.split("\n") for block in blocks]
    widths = [max(map(len, of)) for of in lines]
    rows = zip(*lines, strict=True)
    return "\n".join(
        "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def picture(codes: Array) -> str:
    """A map, 0 white and 255 black, as the address of a picture."""
    return pictures.of_image(255 - codes[..., None])


def written(facts: dict[str, Any]) -> dict[Path, str]:
    """The text of each file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grid": grid, "picture": picture}
    environment.globals |= {"beside": beside, "ROW": ROW, "COLUMN": COLUMN, "CHANNEL": CHANNEL}
    page, figure = (
        environment.get_template(f"{path.name}.j2").render(facts) for path in (PAGE, FIGURE)
    )
    return {PAGE: filled(page), FIGURE: figure}


def filled(page: str) -> str:
    """Markdown whose paragraphs fill their lines, whatever numbers came into them."""
    parts = re.split(r"(^```.*?^```$)", page, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [re.sub(PARAGRAPH, lambda of: lines_of(of[0]), part) for part in parts[::2]]
    return "".join(parts)


def lines_of(paragraph: str) -> str:
    """A paragraph in lines, of which none ends within code or a link."""
    whole = re.sub(r"`[^`]*`|\[[^]]*\]\([^)]*\)", lambda of: re.sub(r"\s+", "\0", of[0]), paragraph)
    text = textwrap.fill(whole, 118, break_on_hyphens=False, break_long_words=False)
    return text.replace("\0", " ")


if __name__ == "__main__":
    for path, text in written(told()).items():
        path.write_text(text)
        print(path)
