"""A network in a user's own Python file: ``module.py:Model``."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from lenet_export.errors import UserError
from lenet_export.readers.parameters import KINDS

GIVE = "give FILE.py:NAME, a module of Flax, its class, or a function of parameters and images"


def network_in(text: str, has_parameters: bool = True) -> Any:
    """The network that ``text`` names; a class is called without arguments, and nnx with a seed.

    Args:
        text: the path of a Python file, a colon, and a name in it.
        has_parameters: whether they come from elsewhere, so that it may be a class.

    Raises:
        UserError: there is no such file or name, it raises an error, or is a class without
            parameters.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"--network {text}", "names no Python file", GIVE)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
        found = getattr(module, name, None)
        made = _made(found) if inspect.isclass(found) else found
    except (Exception, SystemExit) as error:
        what = f"raises {type(error).__name__}: {error}"
        remedy = "let it be imported and made as it is"
        if isinstance(error, ModuleNotFoundError):
            remedy = f"install {error.name}, or {remedy}"
        raise UserError(f"--network {text}", what, remedy) from None
    finally:
        del sys.path[0]
    if inspect.isclass(found) and not has_parameters:
        remedy = f"give its parameters, --model: {KINDS}; or a network that holds them"
        raise UserError(f"--network {text}", "is a class, and has learned nothing", remedy)
    if made is None:
        has = ", ".join(name for name in vars(module) if not name.startswith("_"))
        raise UserError(
            f"--network {text}", f"{path.name} has no {name or 'name'}", f"it has {has}"
        )
    return made


def _made(network: Any) -> Any:
    """A module of the class ``network``."""
    if not sys.modules.get("flax"):
        return network()
    from flax import nnx

    return network(rngs=nnx.Rngs(0)) if issubclass(network, nnx.Module) else network()
