"""The integer network: the specification of the generated C, one function a rule.

It is written against the array interface that NumPy and JAX share, and takes the module as ``xp``:
``jax.numpy`` where C is proven equal to it (:func:`run_integers`), ``numpy`` where an export needs
the known answers of the self-test and must start fast. 32-bit integers suffice throughout. A
float32 plan goes through the same chain in float64, in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.activations import function_of
from lenet_export.checkpoint import NORM_EPSILON
from lenet_export.plan import Layer, Plan
from lenet_export.pools import POOLS

Images = npt.NDArray[np.uint8]
Outputs = dict[str, npt.NDArray[Any]]

#: For XLA: optimize little. To compile a LeNet well takes 2 s more, as much as that saves over some
#: 10,000 images.
QUICKLY = {"xla_backend_optimization_level": 0}


def network(plan: Plan, images: Any, xp: Any = np) -> dict[str, Any]:
    """Every layer's output for ``images``.

    Args:
        plan: int8 or float32.
        images: uint8 ``(images, rows, columns, channels)``.
        xp: ``numpy`` or ``jax.numpy``.

    Returns:
        For each layer, by its name, ``(images, *output_shape)``: codes, uint8, and for the last one
        the logits, int32. Of a float32 plan: float64.
    """
    outputs = {}
    x = images.astype(np.int32 if plan.dtype == "int8" else np.float64)
    for layer in plan.layers:
        if layer.stage.learns:
            x = pool(layer, activate(layer, normalize(layer, accumulate(layer, x, xp), xp), xp))
        else:
            x = pool_of_its_own(layer, x, xp)
        is_code = plan.dtype == "int8" and layer is not plan.layers[-1]
        outputs[layer.name] = x.astype(np.uint8) if is_code else x
    return outputs


def accumulate(layer: Layer, x: Any, xp: Any) -> Any:
    """The sum ``bias + sum(weight * input)``, int32 (or float64)."""
    weight = xp.asarray(layer.weight.astype(x.dtype))
    bias = xp.asarray(layer.bias.astype(x.dtype))
    if not layer.is_conv:
        return x.reshape(len(x), -1) @ weight.T + bias
    if layer.is_depthwise:
        x = xp.repeat(x, layer.stage.features // layer.input_shape[-1], axis=-1)
        return bias + sum(met * weight[:, i, j, 0] for i, j, met in windows(layer, x, xp))
    return bias + sum(met @ weight[:, i, j].T for i, j, met in windows(layer, x, xp))


def windows(layer: Layer, x: Any, xp: Any) -> Iterator[tuple[int, int, Any]]:
    """For each place of a kernel or window: its row and column, and what it meets in the input."""
    assert layer.stage.kernel is not None
    x = xp.pad(x, ((0, 0), *layer.padding, (0, 0)), constant_values=layer.pad_code)
    kernel_rows, kernel_columns = layer.stage.kernel
    rows, columns = x.shape[1] - kernel_rows + 1, x.shape[2] - kernel_columns + 1
    down, across = layer.stage.strides
    for i in range(kernel_rows):
        for j in range(kernel_columns):
            yield i, j, x[:, i : i + rows : down, j : j + columns : across]


def normalize(layer: Layer, acc: Any, xp: Any) -> Any:
    """The layer's norm over the channels of each place, or the units; without one ``acc``."""
    if layer.norm is None:
        return acc
    if layer.integers:
        return layer.norm.apply(acc, xp)
    d = acc - acc.mean(-1, keepdims=True)
    deviation = xp.sqrt((d * d).mean(-1, keepdims=True) + NORM_EPSILON)
    return d / deviation * layer.norm.gain + layer.norm.bias


def activate(layer: Layer, acc: Any, xp: Any) -> Any:
    """Accumulators to codes, 0 to 255; those of the last layer are the logits."""
    name = layer.stage.activation
    if name == "none":
        return acc
    requantize = layer.integers.requantize if layer.integers else None
    if requantize is None:
        return function_of(name).value(acc, xp)
    index = acc * xp.asarray(requantize.gain.astype(np.int32)) >> requantize.shift
    index = xp.clip(index, 0, requantize.activation.top)
    table = requantize.activation.table
    return index if table is None else xp.asarray(table.astype(np.int32))[index]


def pool(layer: Layer, x: Any) -> Any:
    """The pool of each window; partial windows go."""
    size = layer.stage.pool_size
    if layer.stage.pool == "none":
        return x
    n, rows, columns, channels = x.shape
    x = x[:, : rows // size * size, : columns // size * size]
    x = x.reshape(n, rows // size, size, columns // size, size, channels)
    of = POOLS[layer.stage.pool]
    return (of.codes if layer.integers else of.value)(x, (2, 4))


def pool_of_its_own(layer: Layer, x: Any, xp: Any) -> Any:
    """The pool of each window, which may overlap others, or reach into the border."""
    places = [met for _, _, met in windows(layer, x, xp)]
    of = POOLS[layer.stage.pool]
    return (of.codes if layer.integers else of.value)(xp.stack(places), (0,))


def run_logits(plan: Plan, images: Images) -> Any:
    """The logits of :func:`network` in NumPy, over any number of images, ``(images, outputs)``."""
    last = plan.layers[-1].name
    return in_batches(lambda x: {last: network(plan, x)[last]}, images)[last]


def run_integers(plan: Plan, images: Images, names: Sequence[str] = ()) -> Outputs:
    """:func:`network` in JAX, compiled, over any number of images.

    Args:
        plan: an int8 plan.
        images: uint8 ``(images, rows, columns, channels)``.
        names: of the layers whose outputs are given; none: all.
    """
    import jax

    def function(x: Any) -> dict[str, Any]:
        outputs = network(plan, x, jax.numpy)
        return {name: outputs[name] for name in names or outputs}

    return in_batches(jax.jit(function, compiler_options=QUICKLY), images)


def in_batches(function: Callable[[Any], Any], images: Images) -> Outputs:
    """What ``function`` gives for all ``images``: see :func:`batches`."""
    parts = list(batches(function, images))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def batches(function: Callable[[Any], Any], images: Images) -> Iterator[Outputs]:
    """``function`` of up to 500 ``images`` of 28x28 at a time, fewer of larger ones.

    The last batch is filled up with zeros, so that one compilation serves all. ``function`` gives a
    dictionary of arrays, images first.
    """
    batch = max(1, min(500, 500 * 28 * 28 // images[0].size))
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        filled = np.zeros((min(batch, len(images)), *images.shape[1:]), np.uint8)
        filled[: len(part)] = part
        yield {name: np.asarray(v)[: len(part)] for name, v in function(filled).items()}
