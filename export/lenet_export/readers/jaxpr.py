"""The steps of a function of JAX, read as a chain of layers: a small function for each operation.

Where the numbers of a map lie in a value, its :mod:`wiring <lenet_export.readers.wiring>` tells.
What only moves numbers is done to the wiring; a layer reads from it how its weights must lie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lenet_export.activations import CODE_MAX, function_of
from lenet_export.checkpoint import Pads
from lenet_export.pools import POOLS
from lenet_export.readers.chain_builder import NO_PADS, NOTHING, ChainBuilder, Line
from lenet_export.readers.functions import (
    NUMBERS,
    activation_of,
    does,
    dropped,
    outputs_of,
    told,
)
from lenet_export.readers.trace import LOOPS, PRODUCTS, Array, Operation, Step, Value, run
from lenet_export.readers.wiring import (
    MOVES,
    by_place,
    fresh,
    steps_of,
    windows_like,
    without_border,
)

#: Operations that change each number for itself.
BY_NUMBER = {
    *("abs", "acos", "acosh", "add", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt"),
    *("ceil", "clamp", "convert_element_type", "copy", "cos", "cosh", "div", "eq", "erf", "erfc"),
    *("erf_inv", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le"),
    *("log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow"),
    *("reduce_precision", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt"),
    *("square", "stop_gradient", "sub", "tan", "tanh", "xor"),
}
#: The pools, by the operations that they are; a sum is a mean times how many there are.
REDUCES = {"max": "max", "sum": "avg", "min": "min"}
#: A name that Flax gave, and no user: ``Conv_0``, ``layers_3``, ``3``.
GIVEN_NAME = re.compile(r"[A-Z]\w*_\d+|layers_\d+|\d+")
BYTES = 1 / 20  # a network whose own first factor is smaller reads bytes: no scale of 0 to 1 is so

CHAIN = "supported: chains, in which each layer reads what the one in front of it gives"
FOLDS = (
    "takes numbers together by a function of its own, or begins with one that changes the result",
    "begin lax.max with -jnp.inf and lax.add with 0.0, or take nn.max_pool or nn.avg_pool",
)
#: Single operations that are no layer, and what to do.
OTHERS = {
    "concatenate": ("puts parts of what it reads side by side, as split and roll do", CHAIN),
    "reduce": FOLDS,
    "reduce_window": FOLDS,
    "argmax": ("gives the class, and the C finds it in the logits", "let it give the logits"),
}
#: Operations that take a part of what they read.
PARTS = ("gather", "dynamic_slice")
#: What brings two paths together, and what that is.
JOINS = {
    "add": "adds what two paths gave: a residual connection",
    "concatenate": "puts side by side what two paths gave",
    "mul": "multiplies what two paths gave, as gates and attention do",
}


class JaxprReader:
    """Takes steps up in a chain, one after the other.

    Attributes:
        chain: what was read so far.
        order: for each number of an image as the first layer reads it, its place in what the
            function reads; known from the first layer on.
        reads_bytes: whether the function itself divides by 255 or the like.
        dropped: how many steps at the end are no part of the chain.
    """

    def __init__(self, trace_shape: tuple[int, ...], image: Line | None) -> None:
        """Begins.

        Args:
            trace_shape: of what the function reads: images first.
            image: what it reads of an image's bytes / 255; ``None`` if the user does not say.
        """
        self.count = trace_shape[0]
        shape = trace_shape[1:]
        self.chain = ChainBuilder(image_shape(shape))
        self.wiring = np.arange(math.prod(trace_shape)).reshape(trace_shape)
        self.order = np.arange(math.prod(shape))
        self.reads_bytes = False
        self.dropped = 0
        self._told, self._image = image, NOTHING
        self._cut = ""  # where the image became whole numbers, which its bytes are

    def read(self, steps: list[Step]) -> None:
        """Takes up all ``steps``.

        Raises:
            UserError: one of them is nothing that a chain can have.
        """
        at = 0
        while at < len(steps):
            step = steps[at]
            taker = TAKERS.get(step.name)
            if taker:
                self._check_numbers(step)
                taker(self, step.operations[0])
                at += 1
            else:
                at = self._functions(steps, at)
        if not self.chain.is_empty and not np.array_equal(
            self.wiring.ravel(), range(self.wiring.size)
        ):
            self.chain.refuse(
                f"behind {self.chain.last}",
                "puts the logits in another order",
                "leave them as they are",
            )

    # ---- Places, for messages --------------------------------------------------------------------

    def place(self, operation: Operation) -> str:
        """Where an operation is: modules, the function that has it, and the user's line."""
        modules = [part for part in operation.scope if re.fullmatch(r"[^():]+", part)]
        called = [part[:-2] for part in operation.scope if re.fullmatch(r"[a-zA-Z]\w*\(\)", part)]
        where = "/".join(modules[1:]) or f"behind {self.chain.last}"
        if "," not in where:
            where += f", {(called or _classes(operation)[1:] or [operation.name])[-1]}"
        return where + (f" ({operation.line})" if operation.line else "")

    def _layer(self, operation: Operation, kernel: Value) -> tuple[str, str]:
        """The place of a layer that learns, and the name that its user gave it, or ``""``."""
        paths = {
            tuple(p for p in name.split("/") if p not in ("params", "~")) for name in kernel.names
        }
        layers = {path[:-1] for path in paths if len(path) > 1}
        if len(layers) != 1:
            return self.place(operation), ""
        (path,) = layers
        classes = ", ".join(["/".join(path), *_classes(operation)[-1:]])
        name = "" if GIVEN_NAME.fullmatch(path[-1]) else path[-1]
        if name in self.chain.names:
            name = "_".join(path)
        return classes, name

    # ---- What lies where -------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many numbers of one image there are."""
        return math.prod(self.chain.shape)

    def _by_place(self, at: str, array: Array) -> Array:
        """Numbers of a value, in the order of the chain's own map; the same for each image."""
        self._check_no_border(at)
        images = by_place(self.wiring, np.broadcast_to(array, self.wiring.shape))
        images = images.reshape(self.count, -1)
        if not all(np.array_equal(images[0], image, equal_nan=True) for image in images):
            self.chain.refuse(at, "differs from image to image", CHAIN)
        first: Array = images[0]
        return first

    def _check_no_border(self, at: str) -> None:
        """Checks that no zeros were put around what is read."""
        if self.wiring.min() < 0:
            self.chain.refuse(
                at,
                "is behind zeros that were put around",
                "put them directly in front of a convolution, behind its activation",
            )

    def _enter(self, shape: tuple[int, ...], wiring: Array) -> None:
        """Lets the first layer say what an image is, and what it reads of it.

        Args:
            shape: rows, columns and channels.
            wiring: of each number of an image in this order, its place in what the function reads.
        """
        chain = self.chain
        chain.input_shape, self.order = (shape[0], shape[1], shape[2]), wiring.ravel()
        scale, shift = self._image.over(self.order.shape)
        own = Line(scale[self.order].reshape(shape), shift[self.order].reshape(shape))
        if self._told is None and not self._image.is_nothing and np.abs(own.scale).max() < BYTES:
            self.reads_bytes = True
            own = Line(own.scale * 255, own.shift)
            chain.notes.append("the network divides by itself: it is given bytes, 0 to 255")
        if self._cut and not self.reads_bytes:
            self.chain.refuse(self._cut, *_told_whole("whole numbers"))
        told = self._told or NOTHING
        if told.scale.size not in (1, shape[2]):
            what, has = f"are of {told.scale.size} channels", f"the image has {shape[2]}"
            self.chain.refuse(
                "input_mean and input_std", what, f"{has}: give as many, or one number"
            )
        whole = told.then(own)
        if not whole.is_nothing:
            chain.line(whole)

    def _check_map(self, at: str, wiring: Array) -> None:
        """Checks that a map ``(images, rows, columns, channels)`` is the chain's own."""
        shape = wiring.shape[1:]
        if len(wiring) != self.count:
            self.chain.refuse(at, "reads several images at once, or parts of one", CHAIN)
        if self.chain.is_empty:
            if not np.array_equal(np.sort(wiring[0].ravel()), range(wiring[0].size)):
                self.chain.refuse(at, "reads a part of the image", "give it the whole image")
            self._enter(shape, wiring[0])
        elif self.chain.shape != shape or not np.array_equal(wiring.ravel(), range(wiring.size)):
            self.chain.refuse(
                at,
                f"reads a map of {shape} that is not the one that {self.chain.last} gives",
                CHAIN,
            )

    # ---- Layers that learn -----------------------------------------------------------------------

    def convolution(self, operation: Operation) -> None:
        """``conv_general_dilated``."""
        kernel, of = self._kernel(operation), operation.params
        at, name = self._layer(operation, kernel)
        numbers, axes = of["dimension_numbers"], len(of["window_strides"])
        if axes > 2:
            self.chain.refuse(at, f"has a kernel of {axes} dimensions; expected 2")
        if set(of["lhs_dilation"]) != {1}:
            remedy = "take nn.Conv, and train again"
            self.chain.refuse(at, "is a transposed convolution, which is not supported", remedy)
        if set(of["rhs_dilation"]) != {1}:
            remedy = "take a larger kernel, or strides, in place of it; and train again"
            self.chain.refuse(at, f"has a dilation of {of['rhs_dilation']}", remedy)
        batch, channel, *places = numbers.lhs_spec
        wiring = self.wiring.transpose(batch, *places, channel)
        weights = kernel.array.transpose(
            *numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]
        )
        groups = of["feature_group_count"]
        is_depthwise = groups > 1 and weights.shape[-2] == 1
        if not is_depthwise:
            weights = _ungrouped(weights, groups)
        stride, pads = tuple(of["window_strides"]), [tuple(pair) for pair in of["padding"]]
        if axes == 1:  # a map of one row
            wiring, weights = wiring[:, None], weights[None]
            stride, pads = (1, *stride), [(0, 0), *pads]
        whole = wiring
        wiring, border = without_border(whole)
        if (len(wiring), wiring.shape[3]) != (len(whole), whole.shape[3]):
            remedy = "put them around rows and columns alone"
            self.chain.refuse(at, "is behind zeros that were put beside channels or images", remedy)
        self._check_map(at, wiring)
        above, left = (
            (pair[0] + more[0], pair[1] + more[1]) for pair, more in zip(pads, border, strict=True)
        )
        kind = "depthwise" if is_depthwise else "conv"
        self.chain.conv(at, weights, (stride[0], stride[1]), (above, left), name, kind)
        if groups > 1 and not is_depthwise:
            self.chain.notes.append(
                f"{self.chain.last} has groups of channels: the C has zeros between them, "
                f"and {groups} times as many weights"
            )
        given = fresh(self.count, *self.chain.shape[2 - axes :])
        batch, channel, *places = numbers.out_spec
        self.wiring = np.moveaxis(given, range(given.ndim), (batch, *places, channel))

    def product(self, operation: Operation) -> None:
        """``dot_general``: a dense layer, or a convolution of 1x1 over the channels of a map."""
        kernel = self._kernel(operation)
        contracted, batches = operation.params["dimension_numbers"]
        at, name = self._layer(operation, kernel)
        self._check_no_border(at)
        if batches[0]:
            self.chain.refuse(at, "has weights of its own for each place or image", CHAIN)
        is_first = operation.inputs[0].is_data
        ours, theirs = contracted if is_first else contracted[::-1]
        wiring = np.moveaxis(self.wiring, ours, range(-len(ours), 0))
        weights = np.moveaxis(kernel.array, theirs, range(len(theirs)))
        free, units = wiring.shape[: -len(ours)], weights.shape[len(theirs) :]
        inputs = math.prod(weights.shape[: len(theirs)])
        weights, wiring = weights.reshape(inputs, -1), wiring.reshape(-1, inputs)
        if inputs == self.size:
            if self.chain.is_empty:
                self._enter(self.chain.shape, np.arange(inputs))
            self.chain.dense(at, self._in_order(at, weights, wiring), name)
        elif len(free) == 3:
            self._check_map(at, wiring.reshape(*free, inputs))
            self.chain.conv(at, weights[None, None], (1, 1), ((0, 0), (0, 0)), name)
        else:
            self.chain.refuse(
                at,
                f"has {inputs} inputs, and {self.chain.last} gives {self.size} numbers",
                "flatten first: x.reshape(len(x), -1)",
            )
        given, axes = fresh(self.count, *free[1:], *units), range(len(free))
        self.wiring = given if is_first else np.moveaxis(given, axes, range(-len(free), 0))

    def _in_order(self, at: str, weights: Array, wiring: Array) -> Array:
        """Weights ``(inputs, units)`` in the order of the chain's map.

        Args:
            at: the layer.
            weights: of what it reads, as it lies.
            wiring: of what it reads, ``(images, inputs)``.
        """
        places, size = wiring[0], len(weights)
        images = places + size * np.arange(self.count)[:, None]
        if not (np.array_equal(np.sort(places), range(size)) and np.array_equal(wiring, images)):
            self.chain.refuse(at, "reads several images at once, or parts of one", CHAIN)
        ordered = np.empty_like(weights)
        ordered[places] = weights
        return ordered

    def _kernel(self, operation: Operation) -> Value:
        """The weights of a product."""
        first, second = operation.inputs
        if first.is_data and second.is_data:
            what = "multiplies two values that the image decides, as attention does"
            self.chain.refuse(self.place(operation), what, CHAIN)
        if second.is_data and operation.name != "dot_general":
            self.chain.refuse(self.place(operation), "convolves weights with the image", CHAIN)
        return second if first.is_data else first

    # ---- Pools -----------------------------------------------------------------------------------

    def window(self, operation: Operation) -> None:
        """``reduce_window_max`` and the like: a pool."""
        at, of = self.place(operation), operation.params
        self._check_no_border(at)
        shape = self.chain.shape
        sizes, strides = of["window_dimensions"], of["window_strides"]
        axes = self._axes_of_map(at, sizes)
        (down, side), (across, width) = (
            (1, 1) if axis is None else (strides[axis], sizes[axis]) for axis in axes
        )
        window, steps = (side, width), (down, across)
        above, left = ((0, 0) if axis is None else of["padding"][axis] for axis in axes)
        pads = above, left
        if window == shape[:2] and not any(map(any, pads)):
            steps = window  # it does not move on
        if math.prod(sizes) != math.prod(window):
            self.chain.refuse(at, "is a pool over channels or images", CHAIN)
        if set(of["base_dilation"]) != {1}:
            self.chain.refuse(at, "is a pool of what is put apart", "leave out its base_dilation")
        if set(of["window_dilation"]) != {1}:
            self.chain.refuse(at, "is a pool of what lies apart", "leave out its window_dilation")
        self._pool(at, REDUCES[operation.name.removeprefix("reduce_window_")], window, steps, pads)
        given = operation.outputs[0].shape
        order = np.argsort([-step for step in steps_of(self.wiring)], kind="stable")
        places = np.arange(math.prod(given)).reshape([given[axis] for axis in order])
        self.wiring = places.transpose(np.argsort(order))  # the axes are those of what was read

    def _axes_of_map(self, at: str, sizes: tuple[int, ...]) -> tuple[int | None, int | None]:
        """The axes of a value that are rows and columns of its map; ``None`` where it has none.

        Args:
            at: the pool.
            sizes: of its window, for each axis of the value: what is one row or one column is an
                axis that a window goes over.
        """
        rows, columns, channels = (*self.chain.shape, 0, 0)[:3]
        steps = steps_of(self.wiring)
        ones = (axis for axis, size in enumerate(self.wiring.shape) if size == 1 < sizes[axis])
        wanted = [columns * channels if rows > 1 else 0, channels if columns > 1 else 0]
        if not channels or any(step and step not in steps for step in wanted):
            remedy = "supported: maps of rows and columns, behind a convolution"
            self.chain.refuse(at, "is a pool over what is no map", remedy)
        down, across = (steps.index(step) if step else next(ones, None) for step in wanted)
        return down, across

    def reduction(self, operation: Operation) -> None:
        """``reduce_max``, ``reduce_sum``: of a whole map, or of windows that a reshape made."""
        at = self.place(operation)
        self._check_no_border(at)
        pool = REDUCES[operation.name.removeprefix("reduce_")]
        axes = tuple(operation.params["axes"])
        groups = np.moveaxis(self.wiring, axes, range(-len(axes), 0))
        kept = groups.shape[: -len(axes)]
        groups = np.sort(groups.reshape(math.prod(kept), -1))
        if groups.shape[1] > 1:
            if len(self.chain.shape) != 3:
                self.chain.refuse(at, f"takes numbers of {self.chain.last} together", CHAIN)
            side, windows = windows_like(groups[0], self.count, self.chain.shape)
            order = np.argsort(groups[:, 0])
            if not np.array_equal(windows[np.argsort(windows[:, 0])], groups[order]):
                self.chain.refuse(at, "takes numbers together that are no window of a map", CHAIN)
            self._pool(at, pool, side, side)
            numbers = np.empty_like(groups[:, :1])
            numbers[order, 0] = np.argsort(windows[:, 0])
            groups = numbers
        self.wiring = groups[:, 0].reshape(kept)

    def _pool(
        self,
        at: str,
        pool: str,
        window: tuple[int, int],
        steps: tuple[int, int],
        pads: Pads = NO_PADS,
    ) -> None:
        """A pool, or a mean or maximum of the whole map; of a sum, what makes it of a mean."""
        if pool not in POOLS:
            known = " and ".join(of.noun for of in POOLS.values())
            self.chain.refuse(at, f"is a pool of the {pool}imum", f"supported: {known}")
        if (window, steps) != ((1, 1), (1, 1)):
            self.chain.pool(at, pool, window, steps, pads)
        if pool == "avg":
            self.chain.line(Line.of(math.prod(window), 0))

    # ---- What only moves -------------------------------------------------------------------------

    def move(self, operation: Operation) -> None:
        """Reshape, transpose, and the like."""
        given, read = (math.prod(value.shape) for value in (*operation.outputs, *operation.data))
        if given > read:
            self.chain.refuse(self.place(operation), "repeats what it reads", CHAIN)
        if given < read:
            self.chain.refuse(self.place(operation), *self._told_part())
        self.wiring = MOVES[operation.name](self.wiring, operation.params)

    def pad(self, operation: Operation) -> None:
        """``pad``, with zeros: the convolution that follows has them as its border."""
        at, number = self.place(operation), operation.inputs[1].array
        sides = operation.params["padding_config"]
        if any(low < 0 or high < 0 for low, high, _ in sides):
            self.chain.refuse(at, *self._told_part())
        if any(inner for _, _, inner in sides):
            self.chain.refuse(at, "puts numbers between those that it reads", "put zeros around")
        if number != 0:
            self.chain.refuse(at, f"is a border of {number:g}", "put zeros around")
        self.wiring = np.pad(
            self.wiring, [(low, high) for low, high, _ in sides], constant_values=-1
        )

    # ---- Functions -------------------------------------------------------------------------------

    def _functions(self, steps: list[Step], at: int) -> int:
        """Takes up what begins at step ``at`` and is no layer; gives the step behind it.

        The longest known function wins: 2 / 3 * x, tanh and 1.7159 * y are one activation.
        """
        end = next((k for k in range(at, len(steps)) if steps[k].name in TAKERS), len(steps))
        for step in steps[at:end]:
            self._check_numbers(step)
        place = self.place(steps[at].operations[-1])
        line = _line_of(steps[at])
        if _is_cut(steps[at]) and self.chain.is_empty and self._image.is_nothing:
            self._cut, line = place, NOTHING
        if not _is_float(steps[at].before):
            end = at  # no function of whole numbers is known
        elif self._drop(steps, at, end):
            return len(steps)
        if line is None or all(value.is_uniform for value in steps[at].constants):
            for behind in range(end, at + (line is not None), -1):
                if self._function(steps[at:behind]):
                    return behind
        if line is None:
            self._refuse(place, steps[at])
        else:
            self._line(place, steps[at], line)
        return at + 1

    def _function(self, window: list[Step]) -> bool:
        """Takes up ``window`` if it is one function that is known."""
        place = self.place(window[-1].operations[-1])
        operations = [operation for step in window for operation in step.operations]
        by_number = all(
            of.name in BY_NUMBER and of.outputs[0].shape == window[0].before.shape
            for of in operations
        )
        constants = [value for step in window for value in step.constants]
        names = {operation.name for operation in operations}
        if not by_number:
            is_norm = "reduce_sum" in names and not names & set(PRODUCTS)
            is_norm = is_norm and not _takes_images_together(operations)
            return is_norm and self._layer_norm(place, window, constants)
        if not all(value.is_uniform for value in constants):
            return False

        def one(value: Value) -> Any:
            return np.full(NUMBERS.shape if value.shape else (), value.array.flat[0])

        outputs = outputs_of(lambda x: run(window, x, one))
        name = activation_of(outputs)
        if name:
            if function_of(name).value(0.0, np) != 0:
                self._check_no_border(place)
            self.chain.activation(place, name)
            return True
        if does(outputs, lambda x: x):  # nn.leaky_relu(x, 1)
            return True
        known = told(outputs)
        if known:
            self.chain.refuse(place, *known)
        return False

    def _line(self, at: str, step: Step, line: Line) -> None:
        """A factor or sum, of what each of its constants is at each place."""
        if not (np.isfinite(line.scale).all() and np.isfinite(line.shift).all()):
            self._refuse_infinite(at)
        own = Line.of(*(self._by_place(at, values) for values in line.over(step.after.shape)))
        if self.chain.is_empty:
            self._image = self._image.then(own)
        else:
            shape = self.chain.shape
            self.chain.line(Line(own.scale.reshape(shape), own.shift.reshape(shape)))

    def _layer_norm(self, at: str, window: list[Step], constants: list[Value]) -> bool:
        """Takes up ``window`` if it is a LayerNorm over the channels; its bias is behind it.

        Its epsilon and its scale are among the constants, or there is none.
        """
        shape = window[0].before.shape
        if self.chain.is_empty or shape != window[-1].after.shape:
            return False
        self._check_no_border(at)
        channels = self.chain.shape[-1]
        epsilons = {float(value.array.flat[0]) for value in constants if value.array.size == 1}
        arrays = [value.array for value in constants if value.array.size > 1]
        arrays = [array for array in arrays if _is_over(array.shape, shape)]
        scales = [np.ones(channels)]
        scales += [self._by_place(at, array).reshape(-1, channels)[0] for array in arrays]
        x = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
        sizes = [x, np.float32(1e-3) * x]
        pairs = [
            [by_place(self.wiring, y).reshape(-1, channels) for y in (x, run(window, x))]
            for x in sizes
        ]
        for epsilon in sorted(number for number in epsilons if 0 < number < 1):
            for scale in scales:
                if all(np.allclose(y, scale * _normed(x, epsilon), 1e-3, 1e-4) for x, y in pairs):
                    self.chain.layer_norm(at, scale, epsilon)
                    return True
        return False

    def _drop(self, steps: list[Step], at: int, end: int) -> bool:
        """Leaves the rest out, if it is a function that keeps the order of the logits."""
        window = steps[at:end]
        if not self.chain.is_linear or any(step.name not in MOVES for step in steps[end:]):
            return False
        shape = window[0].before.shape
        name = dropped(lambda x: run(window, x), shape) if shape == window[-1].after.shape else ""
        if name and name not in ("sigmoid", "tanh"):
            of = self.size if name == "log_sigmoid" else shape[-1]
            if self.size == 1 or of != self.size:
                self.chain.refuse(
                    self.place(window[-1].operations[-1]),
                    f"is a {name} of {of} of {self.size} outputs, which does not keep the class",
                    "leave it out, or take it over all logits; and train again",
                )
        if name:
            self.dropped = len(steps) - at
            self.chain.notes.append(
                f"the last {name} is left out: the C gives logits, whose largest is the same"
            )
        return bool(name)

    def _told_part(self) -> tuple[str, str]:
        """What takes a part of what it reads, and a remedy."""
        if self.chain.is_empty:
            return "takes a part of what it reads", "cut the images before they are given"
        remedy = f"let {self.chain.last} give no more than that, or read all of it; and train again"
        return "takes a part of what it reads", remedy

    # ---- Refusals --------------------------------------------------------------------------------

    def _check_numbers(self, step: Step) -> None:
        """Checks that a step computes in float32, of finite numbers."""
        for operation in step.operations:
            for value in operation.outputs:
                if 0 in value.shape:
                    self.chain.refuse(
                        self.place(operation),
                        "gives an empty map",
                        "take a smaller kernel or pool, or larger images",
                    )
                if operation.name in PRODUCTS and not _is_float(value):
                    self.chain.refuse(self.place(operation), *_told_whole(value.dtype))
                if value.dtype.name in ("bfloat16", "float16", "float64"):
                    self.chain.refuse(
                        self.place(operation),
                        f"computes in {value.dtype.name}",
                        "give it dtype=None: the C is compared with float32",
                    )
            for value in operation.inputs:
                if value.array is None or operation.name == "select_n":
                    continue  # what is selected where nothing should be may be NaN
                if value.shape and not np.isfinite(value.array).all():
                    self._refuse_infinite(self.place(operation))

    def _refuse_infinite(self, at: str) -> None:
        self.chain.refuse(
            at,
            "has parameters that are not finite",
            "its training diverged: train again, with a lower learning rate",
        )

    def _refuse(self, at: str, step: Step) -> None:
        """Refuses a step that is nothing known, by what it looks like."""
        names = {operation.name for operation in step.operations}
        last = step.operations[-1]
        is_padding = "Conv" in _classes(last) or any("pad()" in part for part in last.scope)
        norm = next((name for name in _classes(last)[::-1] if "Norm" in name), "")
        if "cond" in names:
            what, remedy = "chooses by the image what it computes, as lax.cond does", CHAIN
        elif _takes_images_together(step.operations):
            what = "takes images together, as BatchNorm does while it learns"
            remedy = "give the network as in inference: train=False, use_running_average=True"
        elif norm:
            what = f"is a {norm} that is not supported here"
            remedy = (
                "supported: BatchNorm of running statistics, and LayerNorm over the channels "
                "directly behind a layer that learns"
            )
        elif names & set(LOOPS):
            what, remedy = "is a loop, as recurrent layers have", CHAIN
        elif names & set(PRODUCTS) and len(last.data) > 1:
            what = JOINS.get(last.name, "brings two paths together")
            remedy = f"{CHAIN}: leave the second path out, and train again"
        elif "gather" in names and not last.inputs[0].is_data:
            what, remedy = "looks numbers up in a table, as nn.Embed does", CHAIN
        elif step.name in PARTS:
            what, remedy = self._told_part()
        elif step.name in OTHERS and not (step.name == "concatenate" and is_padding):
            what, remedy = OTHERS[step.name]
        elif not _is_float(step.after):
            what, remedy = _told_whole(step.after.dtype)
        elif names & {"split", "concatenate"} and not is_padding:
            what, remedy = OTHERS["concatenate"]
        elif "concatenate" in names:
            what = "puts parts of what it reads around it, as the padding CIRCULAR does"
            remedy = "take the padding SAME or VALID, and train again"
        else:
            what, remedy = "does what no known function does", ""
        self.chain.refuse(at, what, remedy)


#: What takes up a step of one operation, by its name.
TAKERS: dict[str, Callable[[JaxprReader, Operation], None]] = {
    "conv_general_dilated": JaxprReader.convolution,
    "dot_general": JaxprReader.product,
    **{f"reduce_window_{name}": JaxprReader.window for name in REDUCES},
    **{f"reduce_{name}": JaxprReader.reduction for name in REDUCES},
    **dict.fromkeys(MOVES, JaxprReader.move),
    "pad": JaxprReader.pad,
}


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns and channels of an image that a function reads as ``shape``, as it seems.

    The numbers of a square are one; others are a row.
    """
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return (side, side, 1) if side * side == shape[0] else (1, shape[0], 1)
    rows, columns, *channels = shape
    return rows, columns, math.prod(channels)


def _ungrouped(kernel: Array, groups: int) -> Array:
    """A kernel of groups of channels as one of all, with zeros for what a group does not see."""
    if groups == 1:
        return kernel
    inputs, outputs = kernel.shape[-2:]
    whole = np.zeros((*kernel.shape[:-2], groups * inputs, outputs), kernel.dtype)
    share = outputs // groups
    for group in range(groups):
        to = slice(group * share, (group + 1) * share)
        whole[..., group * inputs : (group + 1) * inputs, to] = kernel[..., to]
    return whole


def _is_over(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a constant of ``shape`` is one of each number of a value of shape ``whole``."""
    pairs = zip(shape[::-1], whole[::-1], strict=False)
    return len(shape) <= len(whole) and all(size in (1, of) for size, of in pairs)


def _takes_images_together(operations: Iterable[Operation]) -> bool:
    return any(0 in of.params.get("axes", ()) for of in operations)


def _classes(operation: Operation) -> list[str]:
    """The classes of the modules that an operation is in, outermost first."""
    return [part[:-1] for part in operation.scope if part.endswith(":")]


def _normed(x: Array, epsilon: float) -> Array:
    """``x`` less its mean and divided by its deviation, over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    normed: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return normed


def _is_float(value: Value) -> bool:
    return str(value.dtype.kind) in "fcV"  # V: bfloat16


def _is_cut(step: Step) -> bool:
    """Whether a step makes whole numbers that can hold a byte."""
    of = step.after.dtype
    is_whole = step.name == "convert_element_type" and of.kind in "iu"
    return is_whole and np.iinfo(of).max >= CODE_MAX


def _told_whole(dtype: Any) -> tuple[str, str]:
    """What computes in whole numbers or in true and false, and a remedy."""
    return f"computes in {dtype}", "leave it in float32, without cutting or comparing; train again"


def _line_of(step: Step) -> Line | None:
    """A step of one operation as a factor and a number added, if it is that."""
    operation = step.operations[0]
    if not _is_float(step.after):
        return None
    if step.name == "neg":
        return Line.of(-1, 0)
    if step.name == "convert_element_type":
        return NOTHING
    if step.name not in ("add", "sub", "mul", "div") or len(operation.data) != 1:
        return None
    first, second = operation.inputs
    constant = np.asarray((second if first.is_data else first).array, np.float64)
    if step.name == "add":
        return Line.of(1, constant)
    if step.name == "mul":
        return Line.of(constant, 0)
    if step.name == "sub":
        return Line.of(1, -constant) if first.is_data else Line.of(-1, constant)
    return Line.of(1 / constant, 0) if first.is_data else None
