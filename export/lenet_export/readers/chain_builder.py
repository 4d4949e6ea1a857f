"""A network, taken up layer by layer as a chain of stages: of no framework in particular.

A reader hands over what each layer learned, as arrays, and what is between them. Several layers
are one stage: what learns, its norm, its activation, its pool. What is linear in between (a bias,
batch normalization, the scale of the image) goes into the weights in front of it or behind it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from lenet_export.activations import CODE_MAX, function_of
from lenet_export.checkpoint import NORM_EPSILON, PADDINGS, POOL_MAX, Model, Pads, Stage
from lenet_export.errors import UserError
from lenet_export.plan import buffer_name
from lenet_export.pools import POOLS
from lenet_export.readers.functions import FUNCTIONS

LAYERS = (
    "convolutions, dense layers, BatchNorm, LayerNorm behind one of them, Dropout as in inference"
)
SUPPORTED = f"supported: {LAYERS}; {FUNCTIONS}"
NEAR_ONE = 1e-6  # what a factor may differ from 1, and a shift from 0, by rounding alone

Floats = npt.NDArray[np.float64]
NO_PADS: Pads = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Line:
    """``scale * x + shift``, for each channel or place of ``x``: float64 arrays."""

    scale: Floats
    shift: Floats

    @classmethod
    def of(cls, scale: Any, shift: Any) -> Line:
        """The line of two numbers, or of arrays that broadcast."""
        both = np.broadcast_arrays(np.asarray(scale, np.float64), np.asarray(shift, np.float64))
        return cls(*both)

    def then(self, other: Line) -> Line:
        """First this one, then the ``other``."""
        return Line.of(self.scale * other.scale, self.shift * other.scale + other.shift)

    @property
    def is_nothing(self) -> bool:
        """Whether it changes nothing but by rounding."""
        return bool(
            (np.abs(self.scale - 1) < NEAR_ONE).all() and (np.abs(self.shift) < NEAR_ONE).all()
        )

    def over(self, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Scale and shift, both of ``shape``."""
        return np.broadcast_to(self.scale, shape), np.broadcast_to(self.shift, shape)

    def by_channel(self) -> Line | None:
        """The same for each channel alone, the last axis; ``None`` if it differs by place."""
        scale, shift = (
            values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
            for values in (self.scale, self.shift)
        )
        if (scale != scale[0]).any() or (shift != shift[0]).any():
            return None
        return Line(scale[0], shift[0])


NOTHING = Line.of(1.0, 0.0)


class ChainBuilder:
    """The stages read so far; the last of them may still get a norm, an activation and a pool.

    Where a layer may be refused, ``at`` is its place and name for messages: ``layers_2, tanh``.

    Attributes:
        input_shape: rows, columns and channels of an image, as the first layer reads it.
        notes: what was done on the way that a user should know, in sentences.
        zero: the byte that stands for the 0 that the first layer's border is of, for each channel;
            exactly, where :attr:`model` has the nearest whole one.
    """

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        """Begins a chain of images of ``input_shape``."""
        self.input_shape = input_shape
        self.notes: list[str] = []
        self.zero: Floats = np.zeros(1)
        self._line = NOTHING
        self._mean: tuple[int, int] | None = None  # over which map, where the next layer takes it
        self._stages: list[Stage] = []
        self._params: dict[str, npt.NDArray[Any]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """What the layers so far give, and the next one reads."""
        shape = Model(self.input_shape, tuple(self._stages), {}).shapes[-1]
        return (1, 1, shape[-1]) if self._mean else shape

    @property
    def is_empty(self) -> bool:
        """Whether there is no layer yet."""
        return not self._stages

    @property
    def is_linear(self) -> bool:
        """Whether the last layer has no activation so far."""
        return not self.is_empty and self._learner.activation == "none"

    @property
    def last(self) -> str:
        """The name of the last layer that learns, or of what is in front of the first."""
        return self._learner.name if self._stages else "the image"

    @property
    def _place(self) -> int:
        """Where the last stage that learns is; pools of their own may be behind it."""
        return max(place for place, stage in enumerate(self._stages) if stage.learns)

    @property
    def _learner(self) -> Stage:
        """The last stage that learns."""
        return self._stages[self._place]

    @property
    def _pools(self) -> list[Stage]:
        """The pools behind the last stage that learns, its own first."""
        learner = self._learner
        return [*([learner] if learner.pool != "none" else []), *self._stages[self._place + 1 :]]

    @property
    def names(self) -> set[str]:
        """Those of the layers so far."""
        return {stage.name for stage in self._stages}

    def refuse(self, at: str, what: str, remedy: str = "") -> NoReturn:
        """Raises the error of a layer that cannot be taken up."""
        raise UserError(at, what, remedy or SUPPORTED)

    def conv(
        self,
        at: str,
        kernel: Any,
        stride: tuple[int, int],
        pads: Pads,
        name: str,
        kind: str = "conv",
    ) -> None:
        """A convolution, without its bias.

        Args:
            at: its place.
            kernel: ``(rows, columns, input channels, channels)``; depthwise 1 input channel.
            stride: down and across.
            pads: zeros ``((above, below), (left, right))``.
            name: as the user called it; ``""`` names it by its number. A taken one is numbered.
            kind: ``conv`` or ``depthwise``.

        Raises:
            UserError: it cannot be computed.
        """
        if len(self.shape) != 3:
            self.refuse(
                at, "is a convolution behind a dense layer", "put convolutions first, then dense"
            )
        self._check_border(at, pads)
        features = int(kernel.shape[-1])
        more = [_more(kernel.shape[axis], stride[axis], pads[axis]) for axis in (0, 1)]
        kernel = np.pad(kernel, (*more, (0, 0), (0, 0)))
        (above, below), (left, right) = (
            (pair[0] + zeros[0], pair[1] + zeros[1]) for pair, zeros in zip(pads, more, strict=True)
        )
        size = int(kernel.shape[0]), int(kernel.shape[1])
        stage = _moving(Stage("conv", kind, features, kernel=size), stride)
        stage = _bordered(stage, ((above, below), (left, right)), self.shape, PADDINGS)
        self._learned(at, stage, kernel, name)

    def dense(self, at: str, kernel: Any, name: str) -> None:
        """A dense layer without its bias: ``kernel`` is ``(inputs, units)``, else as :meth:`conv`.

        What it reads is flattened row by row, channels last.
        """
        self._learned(at, Stage("fc", "dense", int(kernel.shape[-1])), kernel, name)

    def line(self, line: Line) -> None:
        """A factor and a number added, by channel or place: a bias, a batch normalization, a scale.

        It goes into the layer in front of it, if nothing but sums is between the two, or else into
        the one behind it.
        """
        by_channel = line.by_channel()
        if self._is_in_layer(by_channel) and by_channel:
            stage = self._learner
            tensors = ("scale", "bias") if stage.norm == "layer" else ("kernel", "bias")
            layer = stage.norm_name if stage.norm == "layer" else stage.name
            scaled, bias = (f"{layer}/{tensor}" for tensor in tensors)
            self._params[scaled] = self._params[scaled] * by_channel.scale
            self._params[bias] = self._params[bias] * by_channel.scale + by_channel.shift
        else:
            self._line = self._line.then(line)
            if self._line.is_nothing:
                self._line = NOTHING

    def layer_norm(self, at: str, scale: Any, epsilon: float) -> None:
        """A LayerNorm over the channels of each place or the units, then times ``scale``.

        That of sums ``k`` times as large with an epsilon ``k * k`` times as large is the same.
        """
        stage = self._behind(at)
        for found, what in [
            (stage.activation != "none", "the activation"),
            (bool(self._pools), "the pool"),
            (stage.norm != "none", "the norm"),
        ]:
            if found:
                self.refuse(
                    at,
                    f"is behind {what} of {stage.name}",
                    f"put it between {stage.name} and its activation, and train again",
                )
        factor = math.sqrt(NORM_EPSILON / epsilon)
        for tensor in ("kernel", "bias"):
            self._params[f"{stage.name}/{tensor}"] = self._params[f"{stage.name}/{tensor}"] * factor
        ones = np.ones(stage.features)
        self._params[f"{stage.norm_name}/scale"] = ones * np.asarray(scale, np.float64)
        self._params[f"{stage.norm_name}/bias"] = 0 * ones
        self._stages[self._place] = replace(stage, norm="layer")

    def activation(self, at: str, name: str) -> None:
        """An activation; a maximum in front of it is the same as behind it, if it never falls."""
        stage = self._behind(at)
        if stage.activation != "none":
            self.refuse(
                at,
                f"is a second activation behind {stage.name}",
                "leave one of them out, or put a layer that learns between them; and train again",
            )
        first = f"put it in front of the pool of {stage.name}, and train again"
        if self._average_by_convolution():
            stage = self._learner
        for pool in (POOLS[of.pool] for of in self._pools):
            if not pool.commutes:
                self.refuse(
                    at, f"is an activation behind the {pool.noun} pool of {stage.name}", first
                )
            if not function_of(name).rises:
                self.refuse(at, f"is behind the {pool.noun} pool of {stage.name}, and falls", first)
        if self._line is not NOTHING:
            self.refuse(at, f"is behind a factor or sum that cannot go into {stage.name}", first)
        self._stages[self._place] = replace(stage, activation=name)

    def pool(
        self,
        at: str,
        pool: str,
        window: tuple[int, int],
        steps: tuple[int, int],
        pads: Pads = NO_PADS,
    ) -> None:
        """A pool; an average of a whole linear map is linear in what the convolution reads.

        One of squares side by side is part of the convolution in front of it. A mean over a map
        with more places than a pool may have goes into the dense layer behind it, which then has
        weights for each place; a maximum of so many is that of each row's maximum.

        Args:
            at: its place.
            pool: a name in ``POOLS``.
            window: its rows and columns.
            steps: rows and columns that it moves on.
            pads: its border ``((above, below), (left, right))``.

        Raises:
            UserError: it cannot be computed.
        """
        stage = self._behind(at)
        shape = self._checked_map(at)
        of_its_own = self._pool_of_its_own(at, pool, window, steps, pads)
        self._put_off(at, of_its_own)
        size = window[0]
        is_square = window == steps == (size, size) and pads == NO_PADS and size <= POOL_MAX
        is_one = of_its_own.output_shape(shape)[:2] == (1, 1) and pads == NO_PADS
        is_linear = _is_linear(stage) and stage.kind == "conv" and not self._pools
        if pool == "avg" and is_one and is_linear:
            self._make_dense(window)
        elif is_square and self._stages[-1] is stage and self._grows(stage, pool, size):
            self._stages[-1] = replace(stage, pool=pool, pool_size=stage.pool_size * size)
        elif math.prod(window) <= POOL_MAX**2:
            self._stages.append(of_its_own)
        elif pool == "avg" and window == shape[:2] and stage.activation != "none":
            self._mean = window
        elif POOLS[pool].commutes and max(window) <= POOL_MAX**2:
            self.pool(at, pool, (1, window[1]), (1, steps[1]), (NO_PADS[0], pads[1]))
            self.pool(at, pool, (window[0], 1), (steps[0], 1), (pads[0], NO_PADS[1]))
        else:
            self.refuse(
                at,
                f"is a {POOLS[pool].noun} over {window[0]}x{window[1]}",
                f"supported: windows of up to {POOL_MAX**2} numbers; maxima of as many rows and "
                "columns; behind an activation, means over the whole map of any size",
            )

    def _grows(self, stage: Stage, pool: str, size: int) -> bool:
        """Whether a square pool behind a stage goes into the stage, or into the pool it has."""
        return stage.pool in ("none", pool) and stage.pool_size * size <= POOL_MAX

    def _pool_of_its_own(
        self, at: str, pool: str, window: tuple[int, int], steps: tuple[int, int], pads: Pads
    ) -> Stage:
        """The stage of a pool that stands here: see :meth:`pool`."""
        taken = self.names | {buffer_name(stage) for stage in self._stages}
        word = buffer_name(replace(self._learner, pool=pool))
        names = itertools.chain([word], (f"{word}_{n}" for n in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        shape = self.shape
        if steps[0] > window[0] or steps[1] > window[1]:
            self.refuse(
                at,
                f"is a pool of {window[0]}x{window[1]} that moves on by {steps[0]}x{steps[1]}, "
                "and leaves numbers out",
                "take strides up to its window, and train again",
            )
        self._check_border(at, pads)
        if any(max(pair) >= side for pair, side in zip(pads, window, strict=True)):
            self.refuse(
                at,
                f"is a pool of {window[0]}x{window[1]} with a border of {pads[0]} rows and "
                f"{pads[1]} columns",
                "take a border of less than its window, and train again",
            )
        stage = _moving(Stage(name, "pool", shape[-1], "none", window, pool=pool), steps)
        return _bordered(stage, pads, shape, PADDINGS[::-1])

    def _check_border(self, at: str, pads: Pads) -> None:
        """Checks that ``pads`` cut off nothing, as negative ones do."""
        if min(map(min, pads)) < 0:
            self.refuse(
                at,
                f"has a border of {pads[0]} rows and {pads[1]} columns: a negative one cuts off",
                "take none below 0, and train again",
            )

    def model(self, exact: bool = False) -> Model:
        """The chain with its parameters; nothing is measured yet.

        A convolution that gives a map of one place is linear in what it reads: as the last layer
        it is a dense one. One output of two classes is given a second one, which is always 0.

        Args:
            exact: whether the border of the image is what the network's is, and no whole byte.

        Raises:
            UserError: it does not end in logits.
        """
        if not self._stages:
            raise UserError("the network", "has no layer that learns", SUPPORTED)
        last = self._stages[-1]
        if _is_linear(last) and last.kind == "conv" and self.shape[:2] == (1, 1):
            self._make_dense((1, 1))
        self._check_end()
        if self._stages[-1].features == 1:
            self._make_two()
        return self._model(self.zero if exact else self._whole_zero())

    def _model(self, zero: Any) -> Model:
        """The chain where the byte ``zero`` stands for 0: what it is off by is in the bias."""
        first = self._stages[0]
        params = dict(self._params)
        off = (np.asarray(zero) - self.zero) / CODE_MAX
        if off.any():
            kernel, bias = f"{first.name}/kernel", f"{first.name}/bias"
            each = _of_input(first, np.broadcast_to(off, self.input_shape[-1:]))
            params[bias] = params[bias] + (params[kernel] * each).sum((0, 1, 2))
        return Model(
            self.input_shape,
            tuple(self._stages),
            {name: np.asarray(value, np.float32) for name, value in params.items()},
            input_zero=zero,
        )

    def _whole_zero(self) -> int:
        """The byte that is nearest to what the border of the image stands for; 0 without one."""
        if not any(map(any, self._stages[0].pads(self.input_shape))):
            return 0
        return int(np.clip(np.rint(self.zero.mean()), 0, CODE_MAX))

    def _make_two(self) -> None:
        """Gives a last layer of one output a first one that is always 0: of the other class."""
        stage = self._stages[-1]
        kernel, bias = f"{stage.name}/kernel", f"{stage.name}/bias"
        self._params[kernel] = np.pad(self._params[kernel], ((0, 0), (1, 0)))
        self._params[bias] = np.pad(self._params[bias], (1, 0))
        self._stages[-1] = replace(stage, features=2)
        self.notes.append(
            f"{stage.name} has one output: class 1 is read where it is above 0, and class 0 else"
        )

    def _learned(self, at: str, stage: Stage, kernel: Any, name: str) -> None:
        """A convolution or dense layer: called as the user did, or by kind and number."""
        if np.iscomplexobj(kernel):
            self.refuse(at, "has complex parameters", "give it real ones: the C has float32")
        before = self._learner if self._stages else None
        bias: Any = 0.0
        if before and self._is_as_one_with(before, stage):
            stage, kernel, bias = self._as_one(before, stage, np.asarray(kernel, np.float64))
            before = self._learner if self._stages else None
        if before and before.activation == "none":
            remedy = "put one between them, and train again"
            if before.norm == "none" and all(pool.pool == "avg" for pool in self._pools):
                remedy = f"{remedy}; or leave {before.name} out: two linear layers are as one"
            self.refuse(at, f"is behind {before.name}, which has no activation", remedy)
        is_dense = stage.kind == "dense"
        learners = [other for other in self._stages if other.learns]
        number = 1 + sum((other.kind == "dense") == is_dense for other in learners)
        word = f"{name}_" if name else stage.name
        if not name or name in self.names:  # a layer that is called twice is two
            numbers = itertools.count(2 if name else number)
            name = next(f"{word}{n}" for n in numbers if f"{word}{n}" not in self.names)
        stage = replace(stage, name=name)
        self._params[f"{name}/kernel"] = np.asarray(kernel, np.float64)
        self._params[f"{name}/bias"] = np.zeros(stage.features)
        self._take_line(at, stage)
        if self._mean:
            self._take_mean(at, stage)
        self._params[f"{name}/bias"] = self._params[f"{name}/bias"] + bias
        self._stages.append(stage)

    def _is_as_one_with(self, before: Stage, stage: Stage) -> bool:
        """Whether a layer and the one behind it, which sees single places, are linear together."""
        is_single = (stage.kernel, stage.strides) == ((1, 1), (1, 1)) and stage.kind == "conv"
        both_dense = before.kind == stage.kind == "dense"
        is_behind = before is self._stages[-1] and self._line is NOTHING
        return _is_linear(before) and is_behind and (is_single or both_dense)

    def _as_one(self, before: Stage, stage: Stage, kernel: Floats) -> tuple[Stage, Floats, Floats]:
        """Takes the last layer ``before`` off: it and ``stage`` are one, with this kernel and bias.

        A depthwise convolution and one of 1x1 are a convolution of all channels.
        """
        self._stages.pop()
        first, bias = (self._params.pop(f"{before.name}/{of}") for of in ("kernel", "bias"))
        each = before.features // self.shape[-1]
        whole = _ungrouped(first, each) if before.kind == "depthwise" else first
        matrix = kernel.reshape(-1, stage.features)
        merged = whole @ matrix
        kind = "dense" if before.kind == "dense" else "conv"
        weights = f"{merged.size:,} weights in place of {first.size + kernel.size:,}"
        what = "there is no activation between it and the layer behind it: they are one layer here"
        self.notes.append(f"{before.name}: {what}, with {weights}")
        one = replace(before, name=stage.name, kind=kind, features=stage.features)
        return one, merged, bias @ matrix

    def _take_mean(self, at: str, stage: Stage) -> None:
        """Puts a mean over the map into the weights of ``stage``: a share at each place."""
        (rows, columns), self._mean, kernel = self._mean or (1, 1), None, f"{stage.name}/kernel"
        if stage.kind != "dense":
            self.refuse(
                at,
                f"is a convolution behind a mean over a map of {rows}x{columns}",
                "take a dense layer in its place, which is the same here",
            )
        places = rows * columns
        self._params[kernel] = np.tile(self._params[kernel], (places, 1)) / places
        self.notes.append(
            f"the mean over a map of {rows}x{columns} is in {stage.name}, whose weights are "
            f"{places} times as many; over a square of up to {POOL_MAX}x{POOL_MAX} it costs none"
        )

    def _take_line(self, at: str, stage: Stage) -> None:
        """Puts what is in front of ``stage``, which has no bias yet, into its weights and bias.

        A border of zeros is behind what is put away: of an image its zeros become the byte that
        stands for 0, and behind a layer that cannot be.
        """
        line, self._line = self._line, NOTHING
        if line is NOTHING:
            return
        kernel, bias = f"{stage.name}/kernel", f"{stage.name}/bias"
        weights = self._params[kernel]
        if stage.kind == "dense":
            scale, shift = (values.reshape(-1, 1) for values in line.over(self.shape))
            self._params[kernel], self._params[bias] = weights * scale, (weights * shift).sum(0)
            return
        by_channel = self._by_channel(at, line)
        scales, shifts = by_channel.over(self.shape[-1:])
        scale, shift = (_of_input(stage, values) for values in (scales, shifts))
        self._params[kernel] = weights * scale
        if not any(map(any, stage.pads(self.shape))) or not shift.any():
            self._params[bias] = (weights * shift).sum((0, 1, 2))
        elif self._stages:
            self.refuse(
                at,
                f"has a border of zeros, and reads what {self.last} gives with a sum added to it",
                "put the norm in front of the activation, or take padding='VALID'; and train again",
            )
        elif not scale.all():
            self.refuse(at, "reads a channel that is the same in every image", "leave it out")
        else:
            self.zero = -CODE_MAX * shifts / scales

    def _is_in_layer(self, line: Line | None) -> bool:
        """Whether a line that stands here can go into the layer in front of it."""
        stage = self._learner if self._stages else None
        if stage is None or line is None or stage.activation != "none" or self._line is not NOTHING:
            return False
        return line.scale.size in (1, stage.features) and all(
            _passes(line, pool) for pool in self._pools
        )

    def _put_off(self, at: str, pool: Stage) -> None:
        """Puts off what waits for the next layer until behind a pool, if that is the same."""
        by_channel = self._by_channel(at, self._line)
        if not _passes(by_channel, pool):
            what = "scaled by a negative number" if pool.pool == "max" else "moved from 0"
            self.refuse(
                at,
                f"is a {POOLS[pool.pool].noun} pool of what is {what}",
                f"put that behind the pool, or in front of the activation of {self.last}, and "
                "train again",
            )
        self._line = NOTHING if self._line is NOTHING else by_channel

    def _by_channel(self, at: str, line: Line) -> Line:
        """A line in front of what reads a map, if it is the same at each place."""
        by_channel = line.by_channel()
        before = self._stages[-1] if self._stages else None
        what = f"reads what differs by its place in the map, in scale or shift, from {self.last}"
        remedy = "subtract and divide by numbers of the channels, and train again"
        if before and before.pool == "avg" and before.padding != "VALID" and not before.learns:
            what = "reads means that are divided by other numbers at the border, as with "
            what += "count_include_pad=False"
            remedy = "leave that out, or take padding='VALID' in the pool; and train again"
        return by_channel if by_channel is not None else self.refuse(at, what, remedy)

    def _behind(self, at: str) -> Stage:
        """The stage that a function which stands here goes with."""
        if not self._stages:
            self.refuse(at, "is in front of the first layer that learns")
        return self._learner

    def _checked_map(self, at: str) -> tuple[int, ...]:
        """Rows, columns and channels of the map that a pool which stands here is of."""
        if len(self.shape) != 3:
            self.refuse(at, f"is a pool over the {self.shape[0]} units of a dense layer")
        return self.shape

    def _average_by_convolution(self) -> bool:
        """Makes a convolution and a mean behind it one convolution that moves on by both.

        It has a few weights more, and fewer products. Not where its border would be another one.
        """
        stage, side = self._stages[-1], self._stages[-1].pool_size
        if not _is_linear(replace(stage, pool="none")) or stage.kernel is None:
            return False
        if stage.pool != "avg" or not stage.learns:
            return False
        shape = Model(self.input_shape, tuple(self._stages[:-1]), {}).shapes[-1]
        down, across = stage.strides
        added = down * (side - 1), across * (side - 1)
        size = stage.kernel[0] + added[0], stage.kernel[1] + added[1]
        merged = replace(stage, kernel=size, pool="none", pool_size=1)
        merged = _moving(merged, (down * side, across * side))
        starts = [[before for before, _ in of.pads(shape)] for of in (stage, merged)]
        if starts[0] != starts[1] or merged.output_shape(shape) != stage.output_shape(shape):
            return False
        kernel = self._params[f"{stage.name}/kernel"]
        summed = np.zeros((*size, *kernel.shape[2:]))
        for i in range(0, added[0] + 1, down):
            for j in range(0, added[1] + 1, across):
                summed[i : i + kernel.shape[0], j : j + kernel.shape[1]] += kernel / side**2
        self._params[f"{stage.name}/kernel"] = summed
        self._stages[-1] = merged
        return True

    def _make_dense(self, window: tuple[int, int]) -> None:
        """Makes the last convolution and the mean over ``window`` of its map one dense layer.

        A mean of sums is a sum. Where the kernel has one place, the mean is taken in front of it,
        over what the layer in front gives, if that may have a pool: then it has no more weights
        than the convolution.
        """
        stage = self._stages[-1]
        shape = Model(self.input_shape, tuple(self._stages), {}).shapes[-2]
        kernel = self._params[f"{stage.name}/kernel"]
        before = self._stages[-2] if len(self._stages) > 1 else None
        side = window[0]
        if (
            before
            and (stage.kernel, stage.strides, before.pool) == ((1, 1), (1, 1), "none")
            and shape[:2] == window == (side, side)
            and 2 <= side <= POOL_MAX
        ):
            self._stages[-2] = replace(before, pool="avg", pool_size=side)
            dense = kernel[0, 0]
        else:
            dense = spread(kernel, stage, shape, window)
        self._params[f"{stage.name}/kernel"] = dense
        self._stages[-1] = Stage(stage.name, "dense", stage.features)

    def _check_end(self) -> None:
        """Checks that the last stage gives logits.

        Raises:
            UserError: it does not.
        """
        last, shape = self._learner, self.shape
        at = f"the last layer, {last.name}"
        if last.activation != "none":
            rises = function_of(last.activation).rises
            self.refuse(
                at,
                f"has the activation {last.activation}, and the C gives logits",
                "leave the activation out: the largest logit stays the largest"
                if rises and not any(pool.pool == "avg" for pool in self._pools)
                else "put an nn.Dense behind it, and train again",
            )
        if last.norm != "none":
            self.refuse(at, "has a norm", "put an activation and a dense layer behind it")
        if last.kind != "dense":
            what = f"gives a map of {shape[0]}x{shape[1]}"
            if self._pools:
                what = f"ends in a {POOLS[self._pools[-1].pool].noun} over a map"
            self.refuse(
                at, what, "take a mean over the map, or an activation and a dense layer behind it"
            )


def spread(kernel: Floats, stage: Stage, shape: tuple[int, ...], window: tuple[int, int]) -> Floats:
    """The kernel ``(inputs, features)`` of a convolution's mean over ``window`` of its map.

    Each weight of the convolution is added at each place of the input that it meets. The result is
    of ``shape`` times ``features`` values, whatever the size of the kernel.

    Args:
        kernel: ``(rows, columns, input channels, features)``.
        stage: the convolution.
        shape: of its input.
        window: rows and columns of its map, from the top left, that the mean is over.
    """
    (above, below), (left, right) = stage.pads(shape)
    rows, columns, channels = shape
    padded = np.zeros((above + rows + below, left + columns + right, channels, stage.features))
    (row_step, column_step), share = stage.strides, 1 / math.prod(window)
    for i, row in enumerate(kernel):
        for j, taps in enumerate(row):
            down = slice(i, i + row_step * (window[0] - 1) + 1, row_step)
            across = slice(j, j + column_step * (window[1] - 1) + 1, column_step)
            padded[down, across] += share * taps
    inside = padded[above : above + rows, left : left + columns]
    return inside.reshape(-1, stage.features)


def _ungrouped(kernel: Floats, each: int) -> Floats:
    """A depthwise kernel as one of all channels, with zeros for what a channel does not see."""
    features = kernel.shape[-1]
    whole = np.zeros((*kernel.shape[:2], features // each, features))
    outputs = np.arange(features)
    whole[:, :, outputs // each, outputs] = kernel[:, :, 0]
    return whole


def _of_input(stage: Stage, values: Floats) -> Floats:
    """Numbers of the input's channels, as they meet the weights of a convolution."""
    if stage.kind == "depthwise":
        return np.repeat(values, stage.features // len(values))
    return values[:, None]


def _moving(stage: Stage, strides: tuple[int, int]) -> Stage:
    """The stage, moving on by so many rows and columns."""
    down, across = map(int, strides)
    return replace(stage, stride=down, column_stride=across if across != down else 0)


def _passes(line: Line, pool: Stage) -> bool:
    """Whether a ``line`` in front of a pool, by channel, is the same behind it.

    The border of a mean is 0.
    """
    if pool.pool == "avg":
        is_padded = not pool.learns and pool.padding != "VALID"
        return not (is_padded and line.shift.any())
    return POOLS[pool.pool].commutes and not (line.scale < 0).any()


def _is_linear(stage: Stage) -> bool:
    """Whether nothing but products and sums are made of what the stage reads."""
    return (stage.activation, stage.norm, stage.pool) == ("none", "none", "none")


def _more(kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
    """Zeros in front of and behind a kernel, so that it exceeds its border and covers its stride.

    Args:
        kernel: its rows, or columns.
        stride: that it moves on by.
        pads: of the border in front of what it reads, and behind.
    """
    front = max(0, pads[1] - kernel + 1)
    return front, max(0, pads[0] - kernel + 1, stride - kernel - front)


def _bordered(stage: Stage, border: Pads, shape: tuple[int, ...], names: tuple[str, ...]) -> Stage:
    """The stage with a border, by the first of the ``names`` of paddings that is the same."""
    numbers = replace(stage, padding=",".join(str(int(one)) for pair in border for one in pair))
    named = [replace(stage, padding=name) for name in names]
    same = (numbers.pads(shape), numbers.output_shape(shape))
    fitting = [of for of in named if (of.pads(shape), of.output_shape(shape)) == same]
    return [*fitting, numbers][0]
