"""A function of JAX as what it does to an image, step by step: whoever wrote it, and however.

JAX itself writes down what a function computes (a "jaxpr"). Calls within it are inlined here, what
does not depend on the image is a constant, and what remains is cut wherever one value alone goes
on: a chain of steps, most of them of one operation.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError

Array = npt.NDArray[Any]

#: What calls another list of operations, and under which of these names it has it.
CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}
INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
LOOPS = ("scan", "while")
RANDOM = ("random_bits", "threefry2x32", "random_gamma", "rng_bit_generator", "rng_uniform")
PRODUCTS = ("conv_general_dilated", "dot_general")
HIGHEST = (jax.lax.Precision.HIGHEST,) * 2


class Value:
    """What an operation gives.

    Attributes:
        shape: of the array.
        dtype: of its numbers.
        is_data: whether it depends on the image.
        names: the parameters that it was made of, if it does not: ``conv1/kernel``.
        array: the numbers of a constant.
    """

    def __init__(
        self, like: Any, is_data: bool, names: frozenset[str] = frozenset(), array: Any = None
    ) -> None:
        """A value of the shape and dtype of ``like``."""
        self.shape: tuple[int, ...] = tuple(like.shape)
        self.dtype = like.dtype
        self.is_data, self.names, self.array = is_data, names, array

    @property
    def is_uniform(self) -> bool:
        """Whether a constant is one number everywhere."""
        return bool((self.array == self.array.flat[0]).all()) if self.array.size else False


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of JAX.

    Attributes:
        primitive: what it is; ``name`` is its name.
        params: its options.
        inputs: what it reads.
        outputs: what it gives.
        scope: the modules and functions that it is in, outermost first.
        line: the line of the user's own that asked for it, e.g. ``model.py, line 9``, or ``""``.
    """

    primitive: Any
    params: dict[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    scope: tuple[str, ...]
    line: str

    @property
    def name(self) -> str:
        """Its name, e.g. ``dot_general``."""
        return str(self.primitive.name)

    @property
    def data(self) -> list[Value]:
        """What it reads that depends on the image."""
        return [value for value in self.inputs if value.is_data]

    def bind(self, *arrays: Any) -> Sequence[Any]:
        """What it makes of arrays; of products, with all of float32."""
        params = self.params
        if self.name in PRODUCTS:
            params = params | {"precision": HIGHEST}
        given = self.primitive.bind(*arrays, **params)
        return given if self.primitive.multiple_results else [given]


@dataclass(frozen=True, eq=False)
class Step:
    """What leads from one value to the next: one operation, or several that cannot be parted.

    Attributes:
        operations: in their order.
        before: what they read, beside constants.
        after: what goes on.
    """

    operations: tuple[Operation, ...]
    before: Value
    after: Value

    @property
    def name(self) -> str:
        """The operation's name, if it is one alone."""
        return self.operations[0].name if len(self.operations) == 1 else ""

    @property
    def constants(self) -> list[Value]:
        """What it reads that does not depend on the image."""
        return [value for of in self.operations for value in of.inputs if not value.is_data]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a function computes of images.

    Attributes:
        operations: all that its result needs and that depends on the image.
        image: what it reads.
        result: what it gives.
    """

    operations: tuple[Operation, ...]
    image: Value
    result: Value

    def steps(self) -> list[Step]:
        """The chain, cut wherever one value alone goes on."""
        last_use = {value: at for at, of in enumerate(self.operations) for value in of.inputs}
        last_use[self.result] = len(self.operations)
        found: list[Step] = []
        live, first, before = {self.image}, 0, self.image
        for at, operation in enumerate(self.operations):
            live |= set(operation.outputs)
            live = {value for value in live if last_use.get(value, -1) > at}
            if len(live) == 1:
                (after,) = live
                found.append(Step(self.operations[first : at + 1], before, after))
                first, before = at + 1, after
        return found


def run(
    steps: Iterable[Step | Trace], x: Any, constant: Callable[[Value], Any] | None = None
) -> Any:
    """What the steps make of ``x``, one after the other.

    Args:
        steps: one behind the other, or a whole trace.
        x: of the shape of what the first reads.
        constant: gives the array of a constant; by default it is as it was traced.
    """
    known: dict[Value, Any] = {}
    for step in steps:
        known[step.image if isinstance(step, Trace) else step.before] = x
        for operation in step.operations:
            arrays = [
                known[value] if value.is_data else constant(value) if constant else value.array
                for value in operation.inputs
            ]
            known |= zip(operation.outputs, operation.bind(*arrays), strict=True)
        x = known[step.result if isinstance(step, Trace) else step.after]
    return x


def trace(function: Callable[[Any, Any], Any], params: Any, x: Array) -> Trace:
    """What ``function(params, x)`` computes.

    Args:
        function: gives logits for images.
        params: arrays in dictionaries; the names of what is made of them are their keys.
        x: the images, float32.

    Raises:
        UserError: it fails, gives no single array, or what it gives does not depend on the image.
    """
    try:
        with jax.default_matmul_precision("highest"):
            closed, shape = jax.make_jaxpr(function, return_shape=True)(params, x)
    except UserError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        raise UserError(
            _place((of.filename, of.lineno) for of in reversed(frames)) or "the network",
            f"fails on an input of shape {x.shape[1:]}: {type(error).__name__}: {error}",
            "give the module's own parameters and the shape of its input; or mend it there",
        ) from None
    if not isinstance(shape, jax.ShapeDtypeStruct):
        what = f"gives {type(shape).__name__}, expected an array"
        raise UserError("the network", what, "let it give one array, the images first")
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    arrays = [_constant(leaf) for _, leaf in leaves]
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    inputs = [
        Value(array, False, frozenset({name}), array)
        for name, array in zip(names, arrays, strict=True)
    ]
    image = Value(x, True)
    found: list[Operation] = []
    (result,) = _inlined(closed, [*inputs, image], (), "", found)
    if not result.is_data:
        raise UserError(
            "the network",
            "gives the same for every image",
            "let it give logits that it computes of its argument, the images",
        )
    needed = _needed(found, result)
    for operation in needed:
        if operation.name in RANDOM:
            raise UserError(
                operation.line or "the network",
                "draws random numbers, as dropout does while it learns",
                "give the network as in inference, where it draws none",
            )
    _evaluate([of for of in needed if not of.outputs[0].is_data])
    return Trace(tuple(of for of in needed if of.outputs[0].is_data), image, result)


def _constant(given: Any) -> Any:
    """What a function has of numbers as an array; a key of random numbers as it is."""
    dtype = getattr(given, "dtype", None)
    is_key = dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)
    return given if is_key else np.asarray(given)


def _inlined(
    closed: Any, inputs: list[Value], scope: tuple[str, ...], line: str, found: list[Operation]
) -> list[Value]:
    """Adds the operations of a jaxpr to those ``found``; gives its results."""
    jaxpr = getattr(closed, "jaxpr", closed)  # some are open, and have no constants
    arrays = [_constant(const) for const in getattr(closed, "consts", [])]
    consts = [Value(array, False, array=array) for array in arrays]
    known: dict[Any, Value] = dict(
        zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True)
    )

    def value_of(var: Any) -> Value:
        if hasattr(var, "val"):  # a number in the text
            array = np.asarray(var.val)
            return Value(array, False, array=array)
        return known[var]

    for eqn in jaxpr.eqns:
        read = [value_of(var) for var in eqn.invars]
        inside = scope + tuple(str(eqn.source_info.name_stack).split("/"))
        at = _line(eqn.source_info.traceback) or line
        inner = [eqn.params[name] for name in INNER if name in eqn.params]
        if inner and eqn.primitive.name in CALLS:
            called = (*inside, f"{eqn.params.get('name', '')}()")
            given = _inlined(inner[0], read, called, at, found)
        else:
            is_data = any(value.is_data for value in read)
            names = frozenset[str]().union(*(value.names for value in read))
            given = [Value(var.aval, is_data, names) for var in eqn.outvars]
            scopes = tuple(filter(None, inside))
            params = {name: _plain(param) for name, param in eqn.params.items()}
            found.append(Operation(eqn.primitive, params, tuple(read), tuple(given), scopes, at))
        known |= zip(eqn.outvars, given, strict=True)
    return [value_of(var) for var in jaxpr.outvars]


def _plain(param: Any) -> Any:
    """A parameter in Python's numbers: NumPy's, which a user may give, are written otherwise."""
    if type(param) is tuple:
        return tuple(map(_plain, param))
    return int(param) if isinstance(param, np.integer) else param


def _line(source: Any) -> str:
    """The innermost line of JAX's traceback that is no library's: a user's."""
    frames = source.frames if source else ()
    return _place((frame.file_name, frame.line_num) for frame in frames)


def _place(lines: Iterable[tuple[str, int | None]]) -> str:
    """The first of files and lines that is no library's."""
    for file, line in lines:
        path = Path(file)
        if not {"site-packages", "lenet_export"} & set(path.parts) and path.is_file():
            return f"{path.name}, line {line}"
    return ""


def _needed(operations: list[Operation], result: Value) -> list[Operation]:
    """Those that the result depends on."""
    wanted, kept = {result}, []
    for operation in reversed(operations):
        if wanted & set(operation.outputs):
            wanted |= set(operation.inputs)
            kept.append(operation)
    return kept[::-1]


def _evaluate(operations: list[Operation]) -> None:
    """Gives the constants their arrays, all in one compiled program."""
    made = [value for of in operations for value in of.outputs]
    known = list(dict.fromkeys(v for of in operations for v in of.inputs if v.array is not None))

    def compute(arrays: list[Any]) -> list[Any]:
        at = dict(zip(known, arrays, strict=True))
        for operation in operations:
            given = operation.bind(*(at[value] for value in operation.inputs))
            at |= zip(operation.outputs, given, strict=True)
        return [at[value] for value in made]

    if made:
        for value, array in zip(made, jax.jit(compute)([v.array for v in known]), strict=True):
            value.array = np.asarray(array)
