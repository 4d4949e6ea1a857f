"""Training from Python: what ``lenet-train`` does, with the same options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from lenet_export import packages
from lenet_export.errors import UserError, in_python
from lenet_export.parser import Parser
from lenet_train import cli

if TYPE_CHECKING:
    from lenet_train.run import Result


@in_python
def train(
    dataset: str | os.PathLike[str] = "digits",
    *,
    invert: bool = False,
    transpose: bool = False,
    split: str | None = None,
    arch: str = "lenet",
    activation: str | None = None,
    pool: str | None = None,
    norm: str | None = None,
    init: str | None = None,
    head: str | None = None,
    channels: Sequence[int] | None = None,
    kernels: Sequence[int] | None = None,
    dense: Sequence[int] | None = None,
    recipe: str = "best",
    set: Mapping[str, Any] | Iterable[str] = (),  # noqa: A002 - as the option is called
    epochs: int | None = None,
    bits: str | int | Mapping[str, Any] = "8",
    teacher: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    start: str | os.PathLike[str] | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    anew: bool = False,
    tensorboard: bool = False,
    distributed: bool = False,
) -> Result:
    """Trains a network, or goes on with an interrupted run; a finished one is left as it is.

    Args:
        dataset: a name, or a path, as ``--dataset`` of ``lenet-train`` takes it.
        invert: takes 255 minus each pixel: the images are dark ink on bright paper.
        transpose: takes columns for rows, as EMNIST's files ask for.
        split: ``random``, or by ``groups``: no group has images to train and to validate with.
        arch: ``lenet``, ``lenet5-1998``, ``mlp`` or ``tiny``.
        activation: of LeNet's hidden layers: a name in
            :data:`lenet_export.activations.ACTIVATIONS`.
        pool: ``avg``, ``max`` or ``stride``.
        norm: ``none``, ``batch`` or ``layer``.
        init: ``xavier`` or ``he``.
        head: ``dense`` or ``gap``.
        channels: of each convolution: ``(6, 16)``.
        kernels: sides of their kernels: ``(5, 5)``.
        dense: units of the hidden dense layers: ``(120, 84)``; ``()``: there are none.
        recipe: how to train: a name in :data:`lenet_train.recipes.RECIPES`.
        set: what to change in it: ``{"lr": 0.002, "augmentation.rotation": 15}``.
        epochs: passes over the training images.
        bits: of a weight: 8, 4, 2, 1 or ``ternary``; or by layer: ``{"fc1": 2, "conv": 4}``.
        teacher: networks to learn from beside the labels: files, or names of bundled models.
        start: the network to begin with: ``--from`` of ``lenet-train``.
        seed: same seed, same machine: same file.
        out: the run's folder; by default one in ``runs`` that is called by the settings.
        anew: removes what an earlier run left there, and begins at the beginning.
        tensorboard: writes a log for TensorBoard, too.
        distributed: shares each batch with the other processes that a cluster started.

    Returns:
        Where the model is, and how well it reads the test images.

    Raises:
        UserError: something of what was given cannot be used; nothing is written.
        lenet_train.Interrupted: by Ctrl-C, with a checkpoint; the same call goes on.

    Example:
        >>> import lenet_export
        >>> import lenet_train
        >>> run = lenet_train.train("digits", arch="mlp", epochs=1, out="run")
        mlp on digits, recipe best epochs=1, seed 0: 1 epoch, ...
        >>> run.model.name
        'model.safetensors'
        >>> 0 < run.accuracy < 1
        True
        >>> lenet_export.load(run.model)
        Trained(28x28x1 -> fc1 -> fc2)
    """
    given = dict(locals())
    given["set"] = _settings(set)
    given["bits"] = ",".join(_settings(bits)) if isinstance(bits, Mapping) else bits
    packages.require("train", "lenet_train.train")
    from lenet_train import run  # noqa: F401 - what takes long to import, so that Ctrl-C is heard

    reads = cli.command_line(_Parser)
    result = cli.run_of(cli.parsed(reads, _words(reads, given)))
    assert result
    return result


class _Parser(Parser):
    """The command line's, whose mistakes are errors of Python."""

    def error(self, message: str) -> NoReturn:
        """Raises the message as an error of one option, where it is of one."""
        option, _, what = message.removeprefix("argument ").partition(": ")
        if not what:
            option, _, what = message.partition(" ")
        raise UserError(option, what, "help(lenet_train.train) tells what each option takes")


def _settings(given: Mapping[str, Any] | Iterable[str]) -> list[str]:
    """Names and values as the command line takes them: ``lr=0.002``."""
    if isinstance(given, Mapping):
        return [f"{name}={value}" for name, value in given.items()]
    return _each(given)


def _each(value: Any) -> list[str]:
    """The texts of several values, or of the one that is given."""
    is_one = isinstance(value, str | os.PathLike) or not isinstance(value, Iterable)
    return [str(one) for one in ([value] if is_one else value)]


def _words(reads: Parser, given: Mapping[str, Any]) -> list[str]:
    """The words of the command line that say what is ``given``, by the names of its options."""
    words: list[str] = []
    for action in reads._actions:
        option = action.option_strings[-1]
        value = given.get(option.removeprefix("--"), given.get(action.dest))
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
        elif action.nargs == "+":
            words += [option, *_each(value)] if value else []
        elif action.default == []:  # may be repeated
            words += [f"{option}={one}" for one in _each(value)]
        else:
            words.append(f"{option}={','.join(_each(value))}")
    return words
