"""What a network learned, as its user keeps it, in dictionaries: files, bytes, flat names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lenet_export.errors import UserError

KINDS = "a folder of Orbax, a .msgpack of flax.serialization, or a .safetensors"


def loaded(given: Any) -> Any:
    """The parameters that a user gave, read if they are in a file; others as they are.

    Args:
        given: arrays in dictionaries, or in one by paths (``conv1/kernel``, ``conv1.kernel``); the
            bytes of ``flax.serialization``; a ``TrainState``; or the path of :data:`KINDS`.

    Raises:
        UserError: a file cannot be read, or is none of these.
    """
    if isinstance(given, str | os.PathLike):
        return _nested(_read(Path(given)))
    if isinstance(given, bytes):
        return _nested(_restored(given, "params"))
    if hasattr(given, "params") and hasattr(given, "opt_state"):  # a TrainState
        kept = {kind: getattr(given, kind, None) for kind in ("params", "batch_stats")}
        return {kind: of_layers for kind, of_layers in kept.items() if of_layers is not None}
    return _nested(given) if isinstance(given, dict) else given


def check_same(found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> None:
    """Checks that nothing that is expected is missing, or of another shape.

    Raises:
        UserError: something is; with all that was found and expected, side by side.
    """
    if all(found.get(name) == shape for name, shape in expected.items()):
        return
    names = sorted(found.keys() | expected.keys())
    rows = [(name, *(str(of.get(name, "-")) for of in (expected, found))) for name in names]
    lines = [
        f"{name}: expected {wanted}, found {there}"
        for name, wanted, there in rows
        if wanted != there
    ]
    shown = lines[:12] + [f"and {len(lines) - 12} more"] * (len(lines) > 12)
    raise UserError(
        "params",
        f"are not those of the network: {len(lines)} differ",
        "\n  ".join(["give its own, batch_stats among them:", *shown]),
    )


def _read(path: Path) -> Any:
    """What the file or folder at ``path`` holds."""
    if not path.exists():
        raise UserError(path, "does not exist", f"give {KINDS}")
    if path.is_dir():
        return _from_orbax(path)
    data = path.read_bytes()
    if path.suffix.lower() != ".safetensors":
        return _restored(data, path)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        remedy = "it may be truncated or of another kind"
        raise UserError(path, f"is not a whole safetensors file ({error})", remedy) from None


def _restored(data: bytes, where: object) -> Any:
    """What the bytes of ``flax.serialization`` hold."""
    from flax import serialization

    try:
        given = serialization.msgpack_restore(data)
    except Exception as error:  # msgpack has many of its own
        what = f"is not written by flax.serialization ({type(error).__name__})"
        raise UserError(where, what, f"give {KINDS}") from None
    if not isinstance(given, dict):
        raise UserError(where, f"holds a {type(given).__name__}", "give a dictionary of parameters")
    return given


def _from_orbax(path: Path) -> Any:
    """What an Orbax folder holds: the checkpoint itself, or the newest of its manager's steps."""
    import orbax.checkpoint as ocp

    steps = sorted((int(of.name) for of in path.iterdir() if of.name.isdigit()), reverse=True)
    folders = [path, *(path / str(step) for step in steps[:1])]
    folders = [of for folder in folders for of in (folder, folder / "default")]
    found = next((of for of in folders if (of / "_METADATA").exists()), None)
    if found is None:
        raise UserError(path, "is no checkpoint of Orbax", f"give {KINDS}")
    with ocp.PyTreeCheckpointer() as checkpointer, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of devices: whatever these were, here it is the first
        return checkpointer.restore(found.absolute())


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """Dictionaries of dictionaries, of flat names too, less what is no parameter beside them."""
    if "params" in given:  # of a training state
        return {
            kind: _nested(dict(of_layers))
            for kind, of_layers in given.items()
            if isinstance(of_layers, Mapping) and kind != "opt_state"
        }
    if any(isinstance(value, Mapping) for value in given.values()):
        return given
    separator = "/" if any("/" in str(name) for name in given) else "."
    nested: dict[str, Any] = {}
    for name, value in given.items():
        *layers, tensor = str(name).split(separator)
        place = nested
        for layer in layers:
            place = place.setdefault(layer, {})
        place[tensor] = value
    return nested
