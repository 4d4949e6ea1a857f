"""The file between training and export: ``model.safetensors``.

The tensors are ``<layer>/kernel`` and ``<layer>/bias``, float32, in Flax's layout: a convolution's
kernel is ``(rows, columns, input channels, output channels)``, a depthwise one ``(rows, columns, 1,
output channels)``, a dense one ``(inputs, outputs)``. A
layer with a norm has ``<layer>_norm/scale`` and ``<layer>_norm/bias``. A layer whose weights were
trained for fewer than 8 bits has ``<layer>/step`` too, float32 ``(features,)``: the value of
integer weight 1 of each channel. Its kernel holds ``step * integer``, the integers are those of its
:class:`Grid`, and the steps of the last layer are all equal.
The metadata holds one key, ``lenet_export``, whose value is a JSON object:

``format``
    3. Files of format 2 have neither ``none_output`` nor ``ink`` nor strangers in their gap table,
    and those of format 1 have no ``sha256``. Both are read all the same.
``input``
    ``[rows, columns, channels]`` of the image; its bytes are divided by 255 before the first layer.
``stages``
    The chain, first to last; each an object with the fields of :class:`Stage`. ``column_stride`` is
    there where it is not 0 only.
``activation_ranges``
    For each hidden layer the largest activation to represent, measured on training images.
``none_output``
    Whether the last output stands for "none of these": the classes are the outputs in front of it.
``ink``
    The fields of :class:`lenet_export.ink.Ink`, or null.
``gap_table``
    The fields of :class:`lenet_export.gap_table.GapTable`, or null.
``amount_table``
    The same fields, of lines of digits and their scores. It is there where it was measured only.
``input_zero``
    The byte that stands for 0: the network reads ``(byte - input_zero) / 255``, and the border of a
    convolution of the image is of such bytes. It is there where it is not 0 only.
``class_names``
    What each class is called, in the order of the outputs. It is there where the names are more
    than numbers from 0 only.
``info``
    What a model card tells: recipe, seed, data set and its hash, accuracies, ... Free, and not
    needed for an export.
``sha256``
    Over all of this and the tensors, so that no damaged file is exported as another network.

No other field may be missing, and none may be added.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lenet_export import files
from lenet_export.activations import CODE_MAX
from lenet_export.errors import UserError, printable
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.ink import Ink, check_ink
from lenet_export.pools import POOLS

FORMAT = 3
#: Fields of a stage that came later, and what they are where a file has not got them.
LATER: dict[str, Any] = {"column_stride": 0}
_FIRST = frozenset({"format", "input", "stages", "activation_ranges", "gap_table", "info"})
FIELDS = {1: _FIRST, 2: _FIRST | {"sha256"}, 3: _FIRST | {"sha256", "none_output", "ink"}}
OPTIONAL = frozenset({"amount_table", "input_zero", "class_names"})  # since format 3
KEY = "lenet_export"
AGAIN = "give the model.safetensors that lenet-train wrote"
KINDS = ("conv", "depthwise", "pool", "dense")
PADDINGS = ("SAME", "VALID")
BORDER = re.compile(r"\d{1,5}(,\d{1,5}){3}")  # in numbers
NORMS = ("none", "layer")
NORM_EPSILON = 1e-6  # what is added to the variance: Flax's own
FLOAT_MAX = float(np.finfo(np.float32).max)
POOL_MAX = 16  # so that the sum of a window's codes fits 16 bits

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
Pads = tuple[tuple[int, int], tuple[int, int]]  # ((above, below), (left, right))


class Grid(NamedTuple):
    """The integers that a weight of few bits can be: -peak, -peak + spacing, ... peak.

    Attributes:
        bits: that one takes in flash.
        peak: the largest.
        spacing: of two neighbours.
    """

    bits: int
    peak: int
    spacing: int


#: By what :attr:`Stage.bits` says. Weights of 8 bits have none: the export chooses their scale.
GRIDS = {"4": Grid(4, 7, 1), "2": Grid(2, 3, 2), "1": Grid(1, 1, 2), "ternary": Grid(2, 1, 1)}
BITS = ("8", *GRIDS)
OFF_GRID = 1e-3  # steps that a weight may be beside its integer: the rounding of float32, and more


@dataclass(frozen=True)
class Stage:
    """One link of the chain: a convolution or dense layer, its activation, its pool; or a pool.

    A pool whose windows overlap, have a border or are no squares is a link of its own: it reads the
    map that the link in front of it gives.

    Attributes:
        name: the layer's name, from Flax to C to reports, e.g. ``conv1``.
        kind: ``conv``, ``depthwise`` (a convolution whose output channel ``c`` sees the input
            channel ``c // (features / input channels)`` alone), ``pool`` or ``dense`` (its input is
            flattened row by row, channels last).
        features: output channels or units.
        activation: e.g. ``sigmoid``, ``relu``; ``none`` for the last layer, which gives logits.
        kernel: rows and columns of a convolution's kernel, or of a pool's window; ``None`` for
            dense.
        padding: ``SAME`` or ``VALID``, as XLA defines them; or a border of less than the kernel's
            sides in numbers, ``above,below,left,right``: ``1,1,1,1``.
        stride: rows and columns that a convolution or a pool of its own moves on; 1 for dense.
        norm: ``none``, or what stands in front of the activation: ``layer``, Flax's LayerNorm over
            the channels of each place or the units.
        pool: ``none``, or what is taken over each window after the activation: ``avg``, ``max``.
            The border of a pool of its own counts as 0 in a mean, and not at all in a maximum.
        pool_size: side and stride of the square window; 1 without a pool, or of one of its own.
        bits: of a weight in int8: ``8``, or what it was trained for: ``4``, ``2``, ``1``,
            ``ternary``.
        column_stride: columns that it moves on, where they are not as many as rows; 0 else.
    """

    name: str
    kind: str
    features: int
    activation: str = "none"
    kernel: tuple[int, int] | None = None
    padding: str = "VALID"
    pool: str = "none"
    pool_size: int = 1
    stride: int = 1
    norm: str = "none"
    bits: str = "8"
    column_stride: int = 0

    def __repr__(self) -> str:
        """All fields, less later ones that say nothing: a model's id hashes it."""
        fields = (f"{name}={value!r}" for name, value in _said(vars(self)).items())
        return f"Stage({', '.join(fields)})"

    @property
    def strides(self) -> tuple[int, int]:
        """Rows and columns of the input that it moves on, as it is without its pool."""
        return self.stride, self.column_stride or self.stride

    @property
    def learns(self) -> bool:
        """Whether it has parameters."""
        return self.kind != "pool"

    @property
    def grid(self) -> Grid | None:
        """The integers that its weights can be; ``None`` for 8 bits."""
        return GRIDS.get(self.bits)

    @property
    def norm_name(self) -> str:
        """What Flax calls the norm, whose parameters are ``scale`` and ``bias``."""
        return f"{self.name}_norm"

    @property
    def border(self) -> Pads | None:
        """The border that ``padding`` says in numbers."""
        if not BORDER.fullmatch(self.padding):
            return None
        above, below, left, right = map(int, self.padding.split(","))
        return (above, below), (left, right)

    def conv_shape(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """The shape that a convolution gives before its pool, for an input ``(rows, cols, ch)``."""
        assert self.kernel is not None
        given = ((0, 0), (0, 0)) if self.border is None else self.border
        lost = [side - 1 - sum(pads) for side, pads in zip(self.kernel, given, strict=True)]
        lost = [0, 0] if self.padding == "SAME" else lost
        rows, columns = (
            -(-(size - less) // step)
            for size, less, step in zip(shape, lost, self.strides, strict=False)
        )
        return rows, columns, self.features

    def pads(self, shape: tuple[int, ...]) -> Pads:
        """The border ``((above, below), (left, right))`` of what reads rows, of ``shape``.

        As XLA adds them for ``SAME``: what is odd is added below and right. Of one in numbers what
        is below and right is what is read of it.
        """
        if self.kernel is None or self.padding == "VALID":
            return (0, 0), (0, 0)
        rows, columns = (
            max(0, (outputs - 1) * step + kernel - size)
            for outputs, step, kernel, size in zip(
                self.conv_shape(shape), self.strides, self.kernel, shape, strict=False
            )
        )
        if self.border is not None:
            (above, _), (left, _) = self.border
            return (above, max(0, rows - above)), (left, max(0, columns - left))
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the stage gives for an input of ``shape``, its pool included."""
        if self.kind == "dense":
            return (self.features,)
        rows, columns, features = self.conv_shape(shape)
        return rows // self.pool_size, columns // self.pool_size, features

    def kernel_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of ``<name>/kernel`` for an input of ``shape``."""
        if self.kernel is None:
            return math.prod(shape), self.features
        return *self.kernel, 1 if self.kind == "depthwise" else shape[-1], self.features


@dataclass(frozen=True)
class Model:
    """A trained network: everything that the file holds.

    Attributes:
        input_shape: rows, columns, channels of the image.
        stages: the chain.
        params: ``<layer>/kernel``, ``<layer>/bias`` and so on to float32 arrays.
        activation_ranges: hidden layer to its largest activation to represent.
        gap_table: for the reject option; ``None`` if it was not measured.
        info: what a model card tells.
        none_output: whether the last output stands for "none of these".
        ink: the limits of an image's ink; ``None`` if they were not measured.
        amount_table: for the reject option of amounts; its gaps are scores, and its images lines.
        input_zero: the byte of an image that stands for 0.
        class_names: what each class is called; none: its number.
    """

    input_shape: tuple[int, int, int]
    stages: tuple[Stage, ...]
    params: dict[str, Float32]
    activation_ranges: dict[str, float] = field(default_factory=dict)
    gap_table: GapTable | None = None
    info: dict[str, Any] = field(default_factory=dict)
    none_output: bool = False
    ink: Ink | None = None
    amount_table: GapTable | None = None
    input_zero: int = 0
    class_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line, e.g. ``Trained(28x28x1 -> conv1 -> fc1)``: the numbers would fill pages."""
        names = [stage.name for stage in self.stages]
        shape = "x".join(map(str, self.input_shape))
        return f"{type(self).__name__}({' -> '.join([shape, *names])})"

    @property
    def classes(self) -> int:
        """How many classes there are: the outputs but that for none of them."""
        return self.stages[-1].features - self.none_output

    @property
    def names(self) -> tuple[str, ...]:
        """What each class is called: its name, or its number."""
        return self.class_names or tuple(map(str, range(self.classes)))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape in front of each stage, and behind the last."""
        shapes: list[tuple[int, ...]] = [self.input_shape]
        for stage in self.stages:
            shapes.append(stage.output_shape(shapes[-1]))
        return shapes


def save(model: Model, path: Path) -> None:
    """Writes ``model`` to ``path``, the same bytes for the same model, never a part of them.

    Raises:
        UserError: the folder cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    table, ink = model.gap_table, model.ink
    content = {
        "format": FORMAT,
        "input": model.input_shape,
        "stages": [_item(stage) for stage in model.stages],
        "activation_ranges": model.activation_ranges,
        "none_output": model.none_output,
        "ink": None if ink is None else dataclasses.asdict(ink),
        "gap_table": None if table is None else dataclasses.asdict(table),
        "info": model.info,
    }
    if model.amount_table is not None:
        content["amount_table"] = dataclasses.asdict(model.amount_table)
    if model.input_zero:
        content["input_zero"] = model.input_zero
    if model.class_names:
        content["class_names"] = model.class_names
    content = json.loads(json.dumps(content, allow_nan=False))
    tensors = {name: np.ascontiguousarray(value) for name, value in model.params.items()}
    content["sha256"] = sha256_of(content, tensors)
    data = to_bytes(tensors, metadata={KEY: json.dumps(content, sort_keys=True)})
    files.write({path: data})


def sha256_of(content: dict[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """The hash (hex) of all that a file holds, however its JSON is laid out.

    Raises:
        ValueError: there is a number that JSON has not: NaN or an infinity.
    """
    rest = {name: value for name, value in content.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype.name} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def load(path: Path) -> Model:
    """Reads and checks the file at ``path``.

    Raises:
        UserError: the file is missing, is not a whole safetensors file, was not written by
            ``lenet-train``, or its tensors are not those that its architecture asks for.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        heads = {name: (of.get_dtype(), tuple(of.get_shape())) for name, of in slices.items()}
    if KEY not in metadata:
        raise UserError(
            path, f'has no "{KEY}" in its metadata, so its architecture is unknown', AGAIN
        )
    content = _content(path, metadata[KEY])
    model = _model(path, content)
    check_chain(path, model.input_shape, model.stages)
    _check_heads(path, model, heads)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in heads}
    if content["format"] > 1 and content["sha256"] != sha256_of(content, tensors):
        raise UserError(
            path,
            "its SHA-256 is not that of its content: it was damaged, or changed by another program",
            f"copy it again, or train again; {AGAIN}",
        )
    model = dataclasses.replace(model, params=tensors)
    _check_tensors(path, model)
    return model


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The safetensors file at ``path``; its header is read, its tensors are not yet."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.is_dir():
            raise UserError(path, "is a folder, not a file", AGAIN)
        if path.exists() and not path.is_file():
            raise UserError(path, "is not a file", AGAIN)
        with path.open("rb"):
            pass  # Tells a missing or unreadable file better than the library.
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(path, f"cannot be read: {reason}", AGAIN) from None
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            path,
            f"is not a whole safetensors file of numeric tensors ({printable(error)})",
            f"it may be truncated or of another kind; {AGAIN}",
        ) from None


@contextlib.contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Tells what goes wrong in it as damage of the metadata."""
    try:
        yield
    except (
        LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError
    ) as error:  # fmt: skip
        raise UserError(
            path,
            f"its metadata is damaged ({type(error).__name__}: {printable(error)})",
            "train again or repair the metadata",
        ) from None


def _content(path: Path, text: str) -> dict[str, Any]:
    """The metadata, with all of its fields and no other."""
    with _damage_told(path):
        content: dict[str, Any] = json.loads(text)
        if content["format"] not in FIELDS:
            raise UserError(
                path,
                f"has format {content['format']}, expected {FORMAT}",
                "it is of another version of lenet-export; train again with this one",
            )
        own = FIELDS[content["format"]]
        more = OPTIONAL & content.keys() if content["format"] >= 3 else set()
        _check_fields("the metadata", content, own | more)
        sha256_of(content, {})  # refuses NaN, which no JSON may hold and Python reads
    return content


def _check_fields(what: str, item: dict[str, Any], fields: Set[str]) -> None:
    """Checks that ``item`` has these fields and no other: what is left out means nothing.

    Raises:
        ValueError: it has not.
    """
    for problem, names in (("lacks", fields - item.keys()), ("has", item.keys() - fields)):
        if names:
            raise ValueError(f"{what} {problem} {', '.join(sorted(names))}")


def _model(path: Path, content: dict[str, Any]) -> Model:
    """What the metadata tells of, without its tensors."""
    with _damage_told(path):
        table, ink = content["gap_table"], content.get("ink")
        amounts = content.get("amount_table")
        none_output = content.get("none_output", False)
        if type(none_output) is not bool:
            raise ValueError(f"{none_output} does not say whether there is an output for none")
        shape = _size(content["input"], 3)
        zero = content.get("input_zero", 0)
        if type(zero) is not int or not 0 <= zero <= CODE_MAX:
            raise ValueError(f"input_zero {zero} is no byte")
        stages = tuple(_stage(item) for item in content["stages"])
        names = tuple(content.get("class_names", ()))
        if names:
            check_class_names(names, stages[-1].features - none_output)
        return Model(
            input_shape=shape,
            stages=stages,
            params={},
            activation_ranges={k: float(v) for k, v in content["activation_ranges"].items()},
            gap_table=None if table is None else _gap_table(table, content["format"], none_output),
            info=dict(content["info"]),
            none_output=none_output,
            ink=None if ink is None else _ink(ink, shape),
            amount_table=None if amounts is None else _gap_table(amounts, 3, False),
            input_zero=zero,
            class_names=names,
        )


def check_class_names(names: tuple[Any, ...], classes: int) -> None:
    """Checks that there is a name for each class.

    Raises:
        ValueError: there is not, or one cannot be printed or is that of another.
    """
    if len(names) != classes or len(set(names)) != classes:
        raise ValueError(f"{len(set(names))} different class names for {classes} classes")
    for name in names:
        if not (isinstance(name, str) and name.strip() and name.isprintable()):
            raise ValueError(f"the class name {name!r} cannot be printed")


def _gap_table(table: dict[str, Any], file_format: int, none_output: bool) -> GapTable:
    """The table; with an output for none it need not accept all images at gap 0."""
    if file_format < 3:  # which measured no strangers
        table = table | {"strangers": 0, "rows": [[*row, 0] for row in table["rows"]]}
    _check_fields("a table of gaps", table, {field.name for field in dataclasses.fields(GapTable)})
    rows = [
        GapRow(float(gap), int(accepted), int(errors), int(strangers))
        for gap, accepted, errors, strangers in table["rows"]
    ]
    images, strangers = int(table["images"]), int(table["strangers"])
    for row in rows:
        counts = 0 <= row.errors <= row.accepted <= images and 0 <= row.strangers <= strangers
        if not (0 <= row.gap <= FLOAT_MAX and counts):
            raise ValueError(f"{row} of {images} images is no row of a score-gap table")
    begins = bool(rows) and (none_output or rows[0].accepted == images)
    if not begins or not 0 < images < 2**53 or not strangers < 2**53:
        raise ValueError("the score-gap table does not begin with all images")
    for row, above in itertools.pairwise(rows):
        if row.gap >= above.gap or any(a < b for a, b in zip(row[1:], above[1:], strict=True)):
            raise ValueError(f"{above} does not follow {row} in a score-gap table")
    return GapTable(images, tuple(rows), strangers)


def _ink(limits: dict[str, Any], shape: tuple[int, int, int]) -> Ink:
    _check_fields("ink", limits, {field.name for field in dataclasses.fields(Ink)})
    ink = Ink(**limits)
    try:
        check_ink(ink, shape)
    except UserError as error:
        raise ValueError(error.what) from None
    return ink


def _size(values: Any, count: int) -> Any:
    sizes = tuple(values)
    if len(sizes) != count or any(type(v) is not int or not 1 <= v <= 65535 for v in sizes):
        raise ValueError(f"{values} are not {count} sizes")
    return sizes


def _item(stage: Stage) -> dict[str, Any]:
    """The fields of ``stage``, less later ones that say nothing."""
    return _said(dataclasses.asdict(stage))


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if LATER.get(name, ()) != value}


def _stage(item: dict[str, Any]) -> Stage:
    item = LATER | dict(item)
    _check_fields(
        f"layer {item.get('name')}", item, {field.name for field in dataclasses.fields(Stage)}
    )
    if type(item["column_stride"]) is not int or not 0 <= item["column_stride"] <= 65535:
        raise ValueError(f"{item['column_stride']} is no number of columns")
    if item["kernel"] is not None:
        item["kernel"] = _size(item["kernel"], 2)
    stage = Stage(**item)
    names = (stage.name, stage.kind, stage.activation, stage.padding, stage.pool)
    texts = (*names, stage.norm, stage.bits)
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise ValueError(f"{texts} are not all texts")
    _size((stage.features, stage.pool_size, stage.stride), 3)
    return stage


def label(where: object, stages: tuple[Stage, ...], place: int) -> str:
    """A layer with its place, for messages: ``model.safetensors: layer 2 of 5, conv2``."""
    return f"{where}: layer {place + 1} of {len(stages)}, {stages[place].name}"


def check_chain(where: object, shape: tuple[int, ...], stages: tuple[Stage, ...]) -> None:
    """Checks that each stage is known and fits on what is in front of it.

    Raises:
        UserError: one is not, or does not; with its name, its place, and what is supported.
    """
    repair = "train another architecture or repair the metadata"
    if not stages:
        raise UserError(where, "its architecture has no layers", repair)
    for place, stage in enumerate(stages):
        at = label(where, stages, place)
        for what, value, known in [
            ("kind", stage.kind, KINDS),
            ("padding", stage.padding, PADDINGS if stage.border is None else [stage.padding]),
            ("pool", stage.pool, ("none", *POOLS)),
            ("norm", stage.norm, NORMS),
            ("bits", stage.bits, BITS),
        ]:
            if value not in known:
                raise UserError(
                    at, f'{what} "{value}" is not supported', f"supported: {', '.join(known)}"
                )
        if stage.kind != "dense" and len(shape) != 3:
            what = "convolution" if stage.learns else "pool"
            raise UserError(
                at,
                f"a {what} behind a dense layer is not supported",
                "supported: convolutions first, then dense layers",
            )
        if (stage.kind != "dense") != (stage.kernel is not None):
            raise UserError(at, f"{stage.kind} with kernel size {stage.kernel}", repair)
        if stage.border and any(
            max(pads) >= side
            for pads, side in zip(stage.border, stage.kernel or (1, 1), strict=True)
        ):
            what = f"has a border of {stage.padding} and a kernel of {stage.kernel}"
            raise UserError(at, what, "supported: borders of less than the kernel's size")
        if stage.kind == "depthwise" and stage.features % shape[-1]:
            what = f"is depthwise with {stage.features} channels and reads {shape[-1]}"
            raise UserError(at, what, "supported: as many channels as it reads, or a multiple")
        _check_pool(at, place, stage, shape)
        if stage.kind == "dense" and stage.pool != "none":
            raise UserError(at, "a dense layer has no pool", repair)
        has_none = stage.pool == "none" or not stage.learns
        if has_none != (stage.pool_size == 1) or stage.pool_size > POOL_MAX:
            raise UserError(
                at,
                f'pool "{stage.pool}" does not go with size {stage.pool_size}',
                f'supported: sizes 2 to {POOL_MAX}; pool "none" has size 1',
            )
        if stage.learns and any(map(int.__gt__, stage.strides, stage.kernel or (1, 1))):
            raise UserError(
                at,
                f"stride {'x'.join(map(str, dict.fromkeys(stage.strides)))} does not go with "
                f"kernel size {stage.kernel}",
                "supported: convolutions that move on by their kernel's sides at most",
            )
        if stage.column_stride == stage.stride:
            raise UserError(
                at,
                f"says twice that it moves on by {stage.stride}",
                "leave column_stride out: it has the size of stride",
            )
        if not stage.name or not stage.name.isprintable() or "/" in stage.name:
            raise UserError(
                at, "its name is none, or has a / or an invisible character in it", "rename it"
            )
        if any(stage.name == other.norm_name for other in stages if other.norm != "none"):
            raise UserError(at, "its name is that of another layer's norm", "rename it")
        if stage.norm != "none" and stage.grid:
            raise UserError(
                at,
                f"weights of bits {stage.bits} with norm {stage.norm}, which wants one scale",
                "supported: 8 bits, or no norm; batch normalization is folded",
            )
        shape = stage.output_shape(shape)
        if min(shape) < 1:
            raise UserError(at, f"its output would have the shape {shape}", repair)
    if len({stage.name for stage in stages}) != len(stages):
        raise UserError(where, "two of its layers have the same name", repair)


def _check_pool(at: str, place: int, stage: Stage, shape: tuple[int, ...]) -> None:
    """Checks a pool of its own."""
    if stage.learns:
        return
    assert stage.kernel is not None
    places = math.prod(stage.kernel)
    for wrong, what in [
        (place == 0, "is a pool in front of the first layer"),
        (stage.pool == "none", "is a pool that says not which"),
        (stage.features != shape[-1], f"has {stage.features} channels and reads {shape[-1]}"),
        ((stage.activation, stage.norm, stage.bits) != ("none", "none", "8"), "learns nothing"),
        (places > POOL_MAX**2, f"has windows of {places} numbers"),
        (any(map(int.__gt__, stage.strides, stage.kernel)), f"moves on by {stage.strides}"),
    ]:
        if wrong:
            raise UserError(
                at,
                what,
                f"supported: a mean or maximum behind a convolution, of up to {POOL_MAX**2} "
                "numbers, that moves on by its window's sides at most",
            )


def _check_heads(
    path: Path, model: Model, heads: Mapping[str, tuple[str, tuple[int, ...]]]
) -> None:
    """Checks, before any tensor is read, that they are those of the architecture, and float32.

    Args:
        path: of the file.
        model: without tensors.
        heads: of each tensor in the file, its type as safetensors calls it and its shape.
    """
    repair = "train again or repair the metadata"
    expected: dict[str, tuple[tuple[int, ...], str]] = {}
    for stage, shape in zip(model.stages, model.shapes, strict=False):
        if not stage.learns:
            continue
        says = f"the architecture in its metadata says {stage.features} " + (
            "units" if stage.kind == "dense" else "channels"
        )
        expected[f"{stage.name}/kernel"] = stage.kernel_shape(shape), says
        expected[f"{stage.name}/bias"] = (stage.features,), says
        if stage.norm != "none":
            expected[f"{stage.norm_name}/scale"] = (stage.features,), says
            expected[f"{stage.norm_name}/bias"] = (stage.features,), says
        if stage.grid:
            expected[f"{stage.name}/step"] = (stage.features,), says
    for name in sorted(heads.keys() | expected.keys()):
        if name not in expected:
            raise UserError(
                path, f"{printable(name)} belongs to no layer of its architecture", repair
            )
        if name not in heads:
            raise UserError(path, f"{name} is missing", repair)
        (dtype, there), (shape, says) = heads[name], expected[name]
        if there != shape:
            raise UserError(
                path, f"{name} has shape {there}, expected {shape}", f"{says}; {repair}"
            )
        if dtype != "F32":
            raise UserError(path, f"{name} is of type {dtype}, expected F32", "convert it")


def _check_tensors(path: Path, model: Model) -> None:
    """Checks that the numbers are finite, and on their grid where they have one."""
    for name, value in sorted(model.params.items()):
        if not np.isfinite(value).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
            raise UserError(
                path,
                f"{name} has {value[at]} at {at}, expected finite numbers",
                "the training diverged; train again with a lower learning rate",
            )
    for place, stage in enumerate(model.stages):
        if stage.grid:
            grid_weights(label(path, model.stages, place), model, stage)


def grid_weights(at: str, model: Model, stage: Stage) -> Int8:
    """The integers that the kernel of ``stage`` stands for, int8, in the kernel's shape.

    Args:
        at: the layer, for messages.
        model: which has the stage's kernel and steps.
        stage: of fewer than 8 bits.

    Raises:
        UserError: the steps are missing, not positive, or not all equal in the last layer; or a
            weight is not its step times an integer of the grid.
    """
    again = "train again with lenet-train: a kernel and its steps are written together"
    assert stage.grid is not None
    _, peak, spacing = stage.grid
    kernel, step = (model.params.get(f"{stage.name}/{what}") for what in ("kernel", "step"))
    if kernel is None or step is None or step.shape != (stage.features,):
        raise UserError(
            at, f"has bits {stage.bits} and no step for each of its {stage.features} outputs", again
        )
    if not (np.isfinite(step) & (step > 0)).all():
        worst = int(np.argmin(np.isfinite(step) & (step > 0)))
        raise UserError(
            at, f"the step of output {worst} is {step[worst]}, expected a positive number", again
        )
    if stage.name == model.stages[-1].name and (step != step[0]).any():
        raise UserError(
            at,
            f"its steps differ, {step.min()} to {step.max()}: logits would not compare as integers",
            "train the last layer with one step for all outputs",
        )
    exact = kernel.astype(np.float64) / step
    index = np.clip(np.rint((exact + peak) / spacing), 0, 2 * peak // spacing)
    weight = index * spacing - peak
    off = ~(np.abs(exact - weight) <= OFF_GRID)
    if off.any():
        worst_at = tuple(int(i) for i in np.argwhere(off)[0])
        raise UserError(
            at,
            f"{stage.name}/kernel at {worst_at} is {exact[worst_at]:.4g} of its steps; bits "
            f"{stage.bits} allows {', '.join(map(str, range(-peak, peak + 1, spacing)))}",
            again,
        )
    return weight.astype(np.int8)
