"""Any function of images that gives logits: its parameters are inside, or its first argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lenet_export.errors import UserError


def knows(module: Any) -> bool:
    """Whether ``module`` can be called."""
    return callable(module)


def function_of(
    module: Callable[..., Any], params: Any, x: Any
) -> tuple[Callable[[Any, Any], Any], Any]:
    """The function itself, of parameters and images, or of images alone without them."""
    del x
    if params is None:
        return lambda _, x: module(x), {}
    try:
        inspect.signature(module).bind(None, None)
    except TypeError:
        remedy = "give None, or a function of parameters and images"
        what = "are given with a function that takes images alone"
        raise UserError("params", what, remedy) from None
    return module, params
