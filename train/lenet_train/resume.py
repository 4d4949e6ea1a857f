"""Checkpoints of a run that is not over, so that it goes on after a crash: written by Orbax."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from lenet_export.errors import UserError
from lenet_train import devices
from lenet_train.loop import Epoch, Progress

Settings = dict[str, Any]

#: A crash loses no more of the training than this. A checkpoint takes 0.05 s, most of it beside the
#: training.
EVERY_SECONDS = 10.0


class Checkpoints:
    """The checkpoints in a folder, each written whole or, if the program dies, not at all.

    The one before the latest is kept until the latest is whole.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Opens or makes ``folder``, for a run of these ``settings`` (JSON values)."""
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._settings = settings
        # The state is the same in all processes of a cluster, and the first one alone writes it.
        alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
        self._manager = ocp.CheckpointManager(
            folder.absolute(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=1,
                create=False,
                cleanup_tmp_directories=True,
                multiprocessing_options=alone,
            ),
        )
        self._saved = time.monotonic()

    def restore(self, begin: Progress) -> Progress:
        """The latest progress, or ``begin`` where there is none.

        Raises:
            UserError: it is of other settings, or cannot be read.
        """
        step = self._manager.latest_step()
        if step is None:
            return begin
        try:
            run = self._restore(step, "run", ocp.args.JsonRestore())
            refuse_other(self._folder, run["settings"], self._settings)
            like = jax.device_get(begin.state)
            state = self._restore(step, "state", ocp.args.StandardRestore(like))
            epochs = tuple(Epoch(**epoch) for epoch in run["epochs"])
            return Progress(step, state, epochs, run["seconds"])
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UserError(
                self._folder,
                f"holds a checkpoint that cannot be read: {str(error).splitlines()[0]}",
                "start with --anew, which removes it and trains from the beginning",
            ) from None

    def _restore(self, step: int, item: str, args: Any) -> Any:
        return self._manager.restore(step, args=ocp.args.Composite(**{item: args}))[item]

    def save(self, progress: Progress) -> None:
        """Keeps ``progress``; most of the writing goes on while the training does.

        Raises:
            UserError: it, or the one before it, cannot be written.
        """
        run = {
            "settings": self._settings,
            "epochs": [dataclasses.asdict(epoch) for epoch in progress.epochs],
            "seconds": progress.seconds,
        }
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(jax.device_get(progress.state)),
            run=ocp.args.JsonSave(run),
        )
        with self._writing():
            self._manager.save(progress.step, args=items, force=True)
        self._saved = time.monotonic()

    def save_if_due(self, progress: Progress) -> None:
        """Keeps ``progress`` where the last checkpoint is old enough."""
        if time.monotonic() - self._saved >= EVERY_SECONDS:
            self.save(progress)

    def close(self) -> None:
        """Waits until all is written.

        Raises:
            UserError: it cannot be.
        """
        with self._writing():
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        # The library that Orbax writes with tells a full disk, too, as a ValueError.
        try:
            yield
        except (ValueError, OSError) as error:
            reason = str(error).splitlines()[0].rsplit(": ", 1)[-1]
            raise UserError(
                self._folder,
                f"a checkpoint cannot be written: {reason}",
                "check the space left; the same command goes on from the checkpoint before it",
            ) from None


def broadcast_progress(progress: Progress) -> Progress:
    """The first process's progress, in all processes."""
    if jax.process_count() == 1:
        return progress
    epochs = [dataclasses.asdict(epoch) for epoch in progress.epochs]
    text = json.dumps([progress.step, epochs, progress.seconds]).encode()
    size = devices.broadcast(len(text))
    sent = np.frombuffer(text[:size].ljust(size), np.uint8)
    text, state = multihost_utils.broadcast_one_to_all((sent, jax.device_get(progress.state)))
    step, epochs, seconds = json.loads(bytes(text))
    return Progress(step, state, tuple(Epoch(**epoch) for epoch in epochs), seconds)


def refuse_other(where: Path, there: Settings, here: Settings) -> None:
    """Leaves a run alone that is not the one that is asked for.

    Args:
        where: what holds a run.
        there: its settings.
        here: those that are asked for.

    Raises:
        UserError: they differ; it says where.
    """
    old, new = dict(_leaves(there)), dict(_leaves(here))
    differences = [
        f"{name} {old.get(name, 'none')} there, {new.get(name, 'none')} now"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
    if differences:
        raise UserError(
            where,
            f"is of a run with other settings: {'; '.join(differences)}",
            "give another --out, or --anew to remove that run and train this one",
        )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting with its full name, such as ``recipe.lr``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
