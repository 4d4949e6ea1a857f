"""A run: settings in, a folder with a model out, whatever interrupts it."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax

from lenet_export import __version__, checkpoint, files, idx
from lenet_export.errors import UserError
from lenet_train import data, devices, figures, loop, report
from lenet_train.interrupt import Interrupted, Signals
from lenet_train.model import ARCHITECTURES
from lenet_train.recipes import Recipe
from lenet_train.resume import Checkpoints, Settings, everywhere, refuse_other

MODEL = "model.safetensors"
TEST_IMAGES = f"{data.IMAGES.format('t10k')}.gz"
TEST_LABELS = f"{data.LABELS.format('t10k')}.gz"

#: What a finished run leaves, in the order of the screen.
FILES = (MODEL, report.METRICS, *figures.NAMES, TEST_IMAGES, TEST_LABELS)

#: Only while the run is not over.
CHECKPOINTS = "checkpoints"

# Enough for the 99.99th percentile of a layer's activations.
RANGE_IMAGES = 4000


def run(
    arch: str, recipe: Recipe, seed: int, dataset: str, out: Path,
    *, anew: bool = False, tensorboard: bool = False,
) -> None:  # fmt: skip
    """Trains a network, or goes on with it, until the folder ``out`` holds :data:`FILES`.

    The model comes last: where it is, the run is whole. One that is there already, of the same
    settings, is left as it is.

    Args:
        arch: a name in :data:`lenet_train.model.ARCHITECTURES`.
        recipe: how to train.
        seed: of all random numbers.
        dataset: a name or a folder, as :func:`lenet_train.data.load` takes it.
        out: the run's folder.
        anew: removes what an earlier run left there, and begins at the beginning.
        tensorboard: writes a log for TensorBoard, too.

    Raises:
        UserError: something of what was given cannot be used; nothing is written.
        Interrupted: by a signal, with a checkpoint.
    """
    began = time.perf_counter()
    if tensorboard:
        report.check_tensorboard()
    images = data.load(dataset)
    settings = {
        "arch": arch,
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "dataset": images.name,
        "dataset_sha256": images.sha256,
        "tool": f"lenet-train {__version__}",
    }
    title = f"{arch} on {images.name}, recipe {recipe.title}, seed {seed}"
    with contextlib.ExitStack() as stack:
        model = devices.first_does(lambda: _open(stack, out, settings, anew))
        first_line = f"{title}: trained before; --anew trains it again"
        if not devices.largest(model is not None):
            make, stages = ARCHITECTURES[arch]
            training = loop.Training(
                make(), stages, recipe, seed, images.training, images.validation
            )
            progress = _train(training, settings, out, tensorboard)
            if devices.is_first():
                model = _finish(training, progress, images, settings, title, out)
            first_line = f"{title}: {recipe.epochs} epochs, {time.perf_counter() - began:.0f} s"
    if model:
        accuracy, count = model.info["test_accuracy"], model.info["test_images"]
        print(first_line)
        print(f"test accuracy: {accuracy:.2%} ({round(accuracy * count):,} of {count:,} images)")
        print(f"files: {out}/ {' '.join(FILES)}")
        print(f"next: lenet-export --target c --model {out / MODEL}")


def _open(
    stack: contextlib.ExitStack, out: Path, settings: Settings, anew: bool
) -> checkpoint.Model | None:
    """Makes the folder ready, and keeps other runs out; the model if this run is over already."""
    make_folder(out, FILES)
    stack.enter_context(_locked(out))
    if anew:
        # The model goes first, and so does the claim that the folder holds a whole run.
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        for name in (CHECKPOINTS, report.TENSORBOARD):
            shutil.rmtree(out / name, ignore_errors=True)
    if not (out / MODEL).exists():
        return None
    model = checkpoint.load(out / MODEL)
    refuse_other(out / MODEL, {name: model.info.get(name) for name in settings}, settings)
    # Left there if the program died between the two.
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return model


def _train(
    training: loop.Training, settings: Settings, out: Path, tensorboard: bool
) -> loop.Progress:
    """Trains from the last checkpoint, or from the beginning, to the end."""
    progress = training.begin()
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(Signals())

        def start() -> tuple[Checkpoints, loop.Progress]:
            checkpoints = Checkpoints(out / CHECKPOINTS, settings)
            stack.callback(checkpoints.close)
            return checkpoints, checkpoints.restore(progress)

        checkpoints, progress = devices.first_does(start) or (None, progress)
        progress = everywhere(progress)
        if checkpoints:
            if progress.step:
                epoch = len(progress.epochs) + 1
                print(f"going on with epoch {epoch} of {training.recipe.epochs}", flush=True)
            told = stack.enter_context(report.Report(out, training, tensorboard))
            told.show(progress)
        latest = progress
        for latest in training.run(progress):
            if checkpoints:
                told.show(latest)
            stop = devices.largest(signals.noted)
            if checkpoints:
                checkpoints.save(latest) if stop else checkpoints.save_if_due(latest)
            if stop:
                total = training.steps * training.recipe.epochs
                raise Interrupted(
                    stop, f"after {latest.step:,} of {total:,} steps; the same command goes on"
                )
    return latest


def _finish(
    training: loop.Training, progress: loop.Progress, images: data.Dataset, settings: Settings,
    title: str, out: Path,
) -> checkpoint.Model:  # fmt: skip
    """Measures the network, writes all files, the model last, and removes the checkpoints."""
    network, stages = training.network, training.stages
    variables = jax.device_get(progress.state.mean)
    params = loop.flat(variables["params"])
    test_logits = loop.logits(network, variables, images.test.images)
    validation_logits = loop.logits(network, variables, images.validation.images)
    right = test_logits.argmax(axis=1) == images.test.labels
    model = checkpoint.Model(
        input_shape=(data.SIDE, data.SIDE, 1),
        stages=stages,
        params=params,
        activation_ranges=loop.activation_ranges(
            network, stages, variables, images.training.images[:RANGE_IMAGES]
        ),
        gap_table=checkpoint.GapTable.measure(validation_logits, images.validation.labels),
        info=settings
        | {
            "images": data.CONVENTIONS.get(images.name, ""),
            "test_accuracy": float(right.mean()),
            "test_images": len(right),
            "validation_accuracy": progress.epochs[-1].validation_accuracy,
            "validation_images": len(images.validation.labels),
            "parameters": sum(value.size for value in params.values()),
        },
    )
    pictures = figures.of_run(model, progress.epochs, images.test, test_logits, title)
    files.write(
        {out / name: picture for name, picture in pictures.items()}
        | {
            out / TEST_IMAGES: _gzip(idx.pack(images.test.images)),
            out / TEST_LABELS: _gzip(idx.pack(images.test.labels)),
        }
    )
    checkpoint.save(model, out / MODEL)
    shutil.rmtree(out / CHECKPOINTS)
    return model


def _gzip(content: bytes) -> bytes:
    """Packs with no date inside, so that the same content gives the same bytes."""
    return gzip.compress(content, mtime=0)


def make_folder(folder: Path, names: Sequence[str]) -> None:
    """Makes the run folder and checks, before any work, that the files can go into it.

    Raises:
        UserError: a file is in the folder's place or the reverse, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            folder, "is, or lies in, a file, expected a folder", "give another --out"
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            folder, f"cannot be written: {reason}", "give --out a folder you may write to"
        ) from None
    for name in names:
        if (folder / name).is_dir():
            raise UserError(folder / name, "is a folder, expected a file", "move it away")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps the folder for this run; the system gives it back however the run ends.

    Raises:
        UserError: another run has it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(
            folder, "another lenet-train is at work there", "wait for it, or give another --out"
        ) from None
    try:
        yield
    finally:
        os.close(handle)
