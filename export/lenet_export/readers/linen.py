"""A module of ``flax.linen`` and its variables as a function: as in inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
from flax import linen as nn

from lenet_export.errors import UserError
from lenet_export.readers.inference import flags_of
from lenet_export.readers.parameters import check_same


def knows(module: Any) -> bool:
    """Whether it is a module of ``flax.linen``, or the ``apply`` of one, as a TrainState has it."""
    return isinstance(_whose(module), nn.Module)


def _whose(module: Any) -> Any:
    """The module whose ``apply`` it is; others as they are."""
    is_apply = getattr(module, "__name__", "") == "apply"
    return getattr(module, "__self__", module) if is_apply else module


def function_of(module: nn.Module, params: Any, x: Any) -> tuple[Callable[[Any, Any], Any], Any]:
    """The module as a function of its variables and images, and its variables.

    Args:
        module: of any form.
        params: the variables of ``module.init`` or as trained, or ``params`` among them alone;
            ``None``: those that the module is bound to.
        x: float32 images, as the module reads them.

    Raises:
        UserError: the variables are not the module's, or it takes more than images.
    """
    module = _whose(module)
    if params is None and module.scope is not None:
        module, params = module.unbind()
    variables = _unboxed(params)
    names = _own_names(module)
    flags: Any = flags_of(module, "module.apply(variables, x")

    def initial() -> Any:
        with nn.intercept_methods(_as_in_inference):
            return module.init(jax.random.key(0), x, **flags)

    def function(named: Any, x: Any) -> Any:
        back = {name: key for key, name in names.items()}
        with nn.intercept_methods(_as_in_inference):
            return module.apply(_renamed(named, back), x, **flags)

    try:
        expected = jax.eval_shape(initial)
    except Exception:  # told with its place where the function itself is traced
        return function, _renamed(variables, names)
    check_same(_flat(variables), _flat(_unboxed(expected)))
    return function, _renamed(variables, names)


def _own_names(module: nn.Module) -> dict[str, str]:
    """The names that a user gave to layers of a Sequential, by those that Flax gives them."""
    layers = module.layers if isinstance(module, nn.Sequential) else ()
    names = {f"layers_{at}": getattr(layer, "name", None) for at, layer in enumerate(layers)}
    own = {key: name for key, name in names.items() if name}
    return own if len(set(own.values())) == len(own) else {}


def _renamed(variables: Any, names: dict[str, str]) -> Any:
    """The variables with other names of layers."""
    return {
        kind: {names.get(layer, layer): value for layer, value in of_layers.items()}
        for kind, of_layers in variables.items()
    }


def _as_in_inference(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Lets layers compute as in inference, with full products, and have places for messages."""
    module = context.module
    if context.method_name != "__call__":
        return call(*args, **kwargs)
    if isinstance(module, nn.Dropout):
        return args[0]
    if isinstance(module, nn.BatchNorm):
        object.__setattr__(module, "use_running_average", None)
        kwargs = kwargs | {"use_running_average": True}
    if isinstance(module, nn.Sequential):
        layers = [
            layer if isinstance(layer, nn.Module) else _placed(layer, f"layers_{place}")
            for place, layer in enumerate(module.layers)
        ]
        object.__setattr__(module, "layers", layers)
    if getattr(module, "precision", None) is not None:
        object.__setattr__(module, "precision", None)  # that of the moment: full
    with jax.named_scope(f"{type(module).__name__}:"):
        return call(*args, **kwargs)


def _placed(function: Callable[..., Any], place: str) -> Callable[..., Any]:
    """A function of a Sequential whose operations know its place and name."""
    name = getattr(getattr(function, "func", function), "__name__", type(function).__name__)

    def placed(*args: Any, **kwargs: Any) -> Any:
        with jax.named_scope(f"{place}, {name}"):
            return function(*args, **kwargs)

    return placed


def _unboxed(variables: Any) -> Any:
    """The variables in dictionaries, of what ``module.init`` gives or a part."""
    if not isinstance(variables, Mapping):
        raise UserError("params", f"are {variables!r:.60}", "give the variables of module.init")
    variables = nn.meta.unbox(flax.core.unfreeze(dict(variables)))
    variables = variables if "params" in variables else {"params": variables}
    for kind, of_layers in variables.items():
        if not isinstance(of_layers, Mapping):
            raise UserError("params", f"have {of_layers!r:.60} as {kind}", "give those of Flax")
    return variables


def _flat(variables: Any) -> dict[str, tuple[int, ...]]:
    """Each variable's shape by its path."""
    flat: Any = flax.traverse_util.flatten_dict(variables, sep="/")
    return {name: tuple(jax.numpy.shape(value)) for name, value in flat.items()}
