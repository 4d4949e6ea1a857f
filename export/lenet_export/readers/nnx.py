"""A module of ``flax.nnx``, which holds its parameters, as a function: as in inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from lenet_export.readers.inference import flags_of
from lenet_export.readers.parameters import check_same


def knows(module: Any) -> bool:
    """Whether ``module`` is a module of ``flax.nnx``."""
    return isinstance(module, nnx.Module)


def function_of(module: nnx.Module, params: Any, x: Any) -> tuple[Callable[[Any, Any], Any], Any]:
    """The module as a function of its parameters and images, and its parameters.

    Args:
        module: as trained.
        params: an ``nnx.State`` in place of its own, or its arrays in dictionaries; ``None``: its
            own.
        x: float32 images, as the module reads them.

    Raises:
        UserError: it takes more than images, or the parameters are not its own.
    """
    del x
    flags = flags_of(module, "module(x")
    copy = nnx.clone(module)
    copy.eval()
    if isinstance(params, nnx.State):
        nnx.update(copy, params)
    graph, state, *rest = nnx.split(copy, (nnx.Param, nnx.BatchStat), ...)
    own = nnx.to_pure_dict(state)
    if params is not None and not isinstance(params, nnx.State):
        own = _like(own, params)

    def function(arrays: Any, x: Any) -> Any:
        # Of this trace, so that a module may write to what it has of them: counters, random keys.
        traced, *others = jax.tree.map(lambda value: value, (state, *rest))
        nnx.replace_by_pure_dict(traced, arrays)
        return nnx.merge(graph, traced, *others)(x, **flags)

    return function, own


def _like(own: Any, given: Any) -> Any:
    """The arrays ``given`` by path, in the dictionaries that the module has."""
    paths, tree = jax.tree_util.tree_flatten_with_path(own)
    expected = {_name(path): jax.numpy.shape(value) for path, value in paths}
    found = {
        _name(path).removeprefix("params/").removesuffix("/value"): value
        for path, value in jax.tree_util.tree_flatten_with_path(given)[0]
    }
    check_same({name: jax.numpy.shape(value) for name, value in found.items()}, expected)
    return jax.tree_util.tree_unflatten(tree, [found[name] for name in expected])


def _name(path: Any) -> str:
    return str(jax.tree_util.keystr(path, simple=True, separator="/"))
