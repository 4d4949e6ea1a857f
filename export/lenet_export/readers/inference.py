"""Arguments by which modules are told that they are not trained."""

from __future__ import annotations

import inspect
from typing import Any

from lenet_export.errors import UserError

INFERENCE = {
    **dict.fromkeys(("train", "training", "is_training"), False),
    **dict.fromkeys(("deterministic", "use_running_average", "inference", "eval"), True),
}


def flags_of(module: Any, call: str) -> dict[str, Any]:
    """What a module is given beside the images, so that it computes as in inference.

    Args:
        module: with a method ``__call__`` that takes images first.
        call: how a user calls it: ``module.apply(variables, x``.

    Raises:
        UserError: it cannot be called, or needs something else.
    """
    at = f"the module, {type(module).__name__}"
    if not any("__call__" in vars(kind) for kind in type(module).__mro__):
        remedy = (
            "give a function of images, and None as its parameters: lambda x: ... of the method"
        )
        raise UserError(at, "has no __call__, which would compute its logits", remedy)
    parameters = inspect.signature(type(module).__call__).parameters
    needed = [
        name
        for name, of in list(parameters.items())[2:]
        if of.default is of.empty and of.kind < of.VAR_KEYWORD and of.kind != of.VAR_POSITIONAL
    ]
    missing = [name for name in needed if name not in INFERENCE]
    if missing:
        raise UserError(
            at,
            f"takes {', '.join(missing)} beside the images",
            "give a function of images in its place, and None as its parameters: "
            f"lambda x: {call}, {missing[0]}=False)",
        )
    return {name: value for name, value in INFERENCE.items() if name in parameters}
