"""A run: settings in, a folder with a model out, whatever interrupts it."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import math
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from lenet_export import __version__, bundled, checkpoint, files, idx
from lenet_export.checkpoint import Model, Stage
from lenet_export.errors import UserError
from lenet_export.float_network import activation_ranges, check_device
from lenet_export.gap_table import GapTable
from lenet_export.ink import Ink
from lenet_export.plan import make_plan
from lenet_train import (
    augment,
    beside,
    data,
    devices,
    distill,
    figures,
    finetune,
    loop,
    qat,
    report,
    strangers,
)
from lenet_train.architectures import Architecture
from lenet_train.datasets.idx_files import IMAGES, LABELS
from lenet_train.interrupt import Interrupted, Signals
from lenet_train.model import Network, deployed, recompute_batch_stats
from lenet_train.recipes import Distillation, Recipe
from lenet_train.resume import Checkpoints, Settings, broadcast_progress, refuse_other
from lenet_train.summary import parameters

MODEL = "model.safetensors"
TEST_IMAGES = f"{IMAGES.format('t10k')}.gz"
TEST_LABELS = f"{LABELS.format('t10k')}.gz"

#: What a finished run leaves, in the order of the screen.
FILES = (MODEL, report.METRICS, *figures.NAMES, TEST_IMAGES, TEST_LABELS)

#: The folder of the float network, where weights of few bits are trained from it.
FLOAT = "float"

#: Only while the run is not over.
CHECKPOINTS = "checkpoints"

# Training images: enough for the 99.99th percentile of a layer's activations, and for the
# statistics of batch normalization.
SAMPLE = 4000

#: Of the validation images, how many the output for none may take: as they are, and changed as
#: training images are.
CALLED_NONE = 0.0005, 0.004

#: Of no class, for the gap table.
STRANGERS = 5000


@dataclass(frozen=True)
class Phase:
    """One training: of the float network, or of few bits afterwards.

    Attributes:
        title: in one line.
        recipe: how it is trained.
        stages: of its network.
        settings: all that its model depends on, JSON values.
        out: its folder.
        training: makes what is trained.
        deployed: makes, of its network's variables and a sample of the images that it learned, the
            model that is exported, unmeasured.
        followed: whether another training begins where this one ends.
    """

    title: str
    recipe: Recipe
    stages: tuple[Stage, ...]
    settings: Settings
    out: Path
    training: Callable[[], loop.Training]
    deployed: Callable[[loop.Variables, data.UInt8], Model]
    followed: bool = False


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        model: the path of its model.
        accuracy: the share of the test images that it reads rightly; ``None`` in the processes of a
            cluster that are not the first.
        test_images: how many there are.
        validation_accuracy: likewise of the validation images.
        validation_images: how many there are.
    """

    model: Path
    accuracy: float | None = None
    test_images: int | None = None
    validation_accuracy: float | None = None
    validation_images: int | None = None

    @classmethod
    def of(cls, path: Path, model: Model | None) -> Result:
        """What the model at ``path`` says of itself."""
        info = model.info if model else {}
        names = (
            f"{split}_{what}" for split in ("test", "validation") for what in ("accuracy", "images")
        )
        return cls(path, *map(info.get, names))


def run(
    architecture: Architecture, recipe: Recipe, seed: int, images: data.Dataset, out: Path,
    *, bits: str = "8", teachers: Sequence[str] = (), start: str | None = None,
    anew: bool = False, tensorboard: bool = False,
) -> Result:  # fmt: skip
    """Trains a network, or goes on with it, until the folder ``out`` holds :data:`FILES`.

    The model comes last: where it is, the run is whole. One that is there already, of the same
    settings, is left as it is. For weights of few bits the float network comes first, as a run of
    its own in the folder ``float`` inside ``out``.

    Args:
        architecture: the network, for these images and classes.
        recipe: how to train.
        seed: of all random numbers.
        images: the data set, as :func:`lenet_train.data.load` gives it.
        out: the run's folder.
        bits: of the weights, as :func:`lenet_train.qat.with_bits` takes it.
        teachers: models to learn from: files, or names of bundled models.
        start: the model to begin with, likewise; its layers are the network's.
        anew: removes what an earlier run left there, and begins at the beginning.
        tensorboard: writes a log for TensorBoard, too.

    Returns:
        Where the model is, and how well it reads.

    Raises:
        UserError: something of what was given cannot be used; nothing is written.
        Interrupted: by a signal, with a checkpoint.
    """
    check_device()
    if tensorboard:
        report.check_tensorboard()
    stages = architecture.stages
    few = qat.with_bits(stages, bits)
    checkpoint.check_chain(f"--bits {bits}", images.input_shape, few)
    data.check_beside(recipe, images.name, images)
    judges = [_read_model("--teacher", name) for name in teachers]
    for name, judge in zip(teachers, judges, strict=True):
        _check_teacher(name, judge, images)
    first = _read_model("--from", start) if start else None
    if first:
        finetune.check(f"--from {start}", first, architecture)
    if judges:
        recipe = dataclasses.replace(recipe, distillation=recipe.distillation or Distillation())
    # The float network is the same however few bits are trained from it.
    plain = dataclasses.replace(recipe, few_bits=None)
    settings: Settings = {
        "arch": architecture.title,
        "recipe": dataclasses.asdict(plain),
        "seed": seed,
        "dataset": images.name,
        "dataset_sha256": images.sha256,
        "tool": f"lenet-train {__version__}",
    }
    if teachers:
        settings["teachers"] = [_sha256("--teacher", name) for name in teachers]
    if start:
        settings["from"] = _sha256("--from", start)
    is_few = any(stage.grid for stage in few)
    few_settings = settings | {"recipe": dataclasses.asdict(recipe), "bits": bits}
    if is_few and not anew:  # before the float network, which takes longer
        devices.first_does(lambda: _finished(out, few_settings))

    def title(recipe: Recipe) -> str:
        return f"{architecture.title} on {images.name}, recipe {recipe.title}, seed {seed}"

    def floats() -> loop.Training:
        network = Network(architecture)
        sample = images.training.images[:SAMPLE]
        return _taught(judges, loop.Training(
            network, stages, plain, seed, images.training, images.validation,
            finetune.variables(network, first, sample) if first else None,
        ))  # fmt: skip

    def folded(variables: loop.Variables, sample: data.UInt8) -> Model:
        params, info = deployed(architecture, variables), {"parameters": parameters(architecture)}
        model = Model(images.input_shape, stages, params, info=info)
        ranges = activation_ranges(model, sample[..., None])
        return dataclasses.replace(model, activation_ranges=ranges)

    where = out / FLOAT if is_few else out
    phase = Phase(title(plain), plain, stages, settings, where, floats, folded, is_few)
    result = _run_phase(phase, images, anew, tensorboard)
    if not is_few:
        return result
    trained = checkpoint.load(where / MODEL)
    few_bits = recipe.for_few_bits()

    def of_few_bits() -> loop.Training:
        ranges = tuple(trained.activation_ranges[stage.name] for stage in few[:-1])
        return _taught(judges or [trained], loop.Training(
            qat.QuantizedNetwork(few, ranges), few, few_bits, seed,
            images.training, images.validation, {"params": qat.begin(few, trained.params)},
        ))  # fmt: skip

    def on_grid(variables: loop.Variables, _: data.UInt8) -> Model:
        params = qat.finish(few, variables["params"])
        return dataclasses.replace(trained, stages=few, params=params)

    phase = Phase(
        f"{title(recipe)}, bits {bits}", few_bits, few, few_settings, out, of_few_bits, on_grid
    )
    return _run_phase(phase, images, anew, tensorboard)


def _read_model(option: str, name: str) -> Model:
    """The model in a file, or the bundled one of that name.

    Raises:
        UserError: there is none, or it cannot be read or computed.
    """
    model = bundled.load(name, option)
    make_plan(model, "float32", where=name)
    return model


def _sha256(option: str, name: str) -> str:
    with bundled.located(name, option) as path:
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_teacher(name: str, model: Model, images: data.Dataset) -> None:
    """Makes sure that the model can teach a network.

    Raises:
        UserError: it is of other images or classes.
    """
    # Images of no class, which have an output of their own, are not what it teaches.
    here, there = (*images.input_shape, images.classes), (*model.input_shape, model.classes)
    if here != there:
        raise UserError(
            f"--teacher {name}",
            f"takes {there[:3]} and gives {there[3]} classes, expected {here[:3]} and {here[3]}",
            "give a model that was trained on such images",
        )


def _taught(teachers: Sequence[Model], training: loop.Training) -> loop.Training:
    """The training by what the teachers say of its images, and with what is learned beside them."""
    recipe, examples = training.recipe, training.training
    if teachers:
        assert recipe.distillation
        # Teachers need not know dirt.
        augmentation = recipe.augmentation and dataclasses.replace(recipe.augmentation, dirt=None)
        examples = distill.refined_labels(
            teachers, examples, recipe.distillation, augmentation, training.seed
        )
    if recipe.strangers or recipe.more_digits:
        examples = beside.beside(examples, recipe, training.seed)
    return dataclasses.replace(training, training=examples)


def _run_phase(phase: Phase, images: data.Dataset, anew: bool, tensorboard: bool) -> Result:
    """Trains until the phase's folder holds :data:`FILES`, and tells what it is."""
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        model = devices.first_does(lambda: _open(stack, phase.out, phase.settings, anew))
        first_line = f"{phase.title}: trained before; --anew trains it again"
        if not devices.largest(model is not None):
            training = phase.training()
            progress = _train(training, phase.settings, phase.out, anew, tensorboard)
            if devices.is_first():
                model = _finish(phase, training, progress, images)
            took = f"{time.perf_counter() - began:.0f} s on {progress.epochs[-1].device}"
            first_line = f"{phase.title}: {_counted(phase.recipe.epochs, 'epoch')}, {took}"
    if model:
        print(first_line)
        print("\n".join(_told(phase, model, images)), flush=True)
    return Result.of(phase.out / MODEL, model)


def _told(phase: Phase, model: Model, images: data.Dataset) -> Iterator[str]:
    """How well the phase's network reads the test images, and what to do."""
    labels = images.test.labels
    accuracy, count = model.info["test_accuracy"], model.info["test_images"]
    yield f"test accuracy: {accuracy:.2%} ({round(accuracy * count):,} of {count:,} images)"
    common = int(np.bincount(labels).argmax())
    share = float(np.mean(labels == common))
    at_chance = accuracy < share + 3 * math.sqrt(share * (1 - share) / count)
    if at_chance:
        called = images.class_names[common]
        yield f"NOTHING LEARNED: to call every image a {called} would be right for {share:.2%}"
    yield f"files: {phase.out}/ {' '.join(FILES)}"
    if at_chance:
        yield f"next: train again, {_remedy(phase)}"
    elif phase.followed:
        yield "next: the training of few bits, which begins here"
    else:
        model_file, folder = _argument(phase.out / MODEL), _argument(phase.out)
        yield f"next: lenet-export --target c --model {model_file} --images {folder}"


def _remedy(phase: Phase) -> str:
    """What leads away from chance."""
    if any(stage.bits != "8" for stage in phase.stages):
        return "with more bits, or with --anew and more epochs: --set few_bits.epochs=N"
    if phase.stages[0].activation == "sigmoid" and phase.recipe.sigmoid_gain == 1:
        return (
            "with --anew --recipe cured, which starts beside the plateau that a sigmoid network "
            "starts on; or with --anew and more --epochs"
        )
    return "with --anew and more --epochs, or a lower rate: --set lr=..."


def _argument(path: Path) -> str:
    """The path as an argument in the system's shell, whatever is in it."""
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text
    return subprocess.list2cmdline([text]) if files.WINDOWS else shlex.quote(text)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _open(stack: contextlib.ExitStack, out: Path, settings: Settings, anew: bool) -> Model | None:
    """Makes the folder ready, and keeps other runs out; the model if this run is over already."""
    make_folder(out, FILES)
    stack.enter_context(_locked(out))
    if anew:
        # The model goes first, and so does the claim that the folder holds a whole run.
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        for name in (CHECKPOINTS, report.TENSORBOARD):
            shutil.rmtree(out / name, ignore_errors=True)
    model = _finished(out, settings)
    if model:  # Left there if the program died between the two.
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    return model


def _finished(out: Path, settings: Settings) -> Model | None:
    """The model of this run, if it is over already.

    Raises:
        UserError: it is that of a run with other settings.
    """
    if not (out / MODEL).exists():
        return None
    model = checkpoint.load(out / MODEL)
    names = {*settings, "bits"}  # which a run of 8 bits does not have
    there = {name: value for name, value in model.info.items() if name in names}
    refuse_other(out / MODEL, there, settings)
    return model


def _train(
    training: loop.Training, settings: Settings, out: Path, anew: bool, tensorboard: bool
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
        progress = broadcast_progress(progress)
        if checkpoints:
            if progress.step:
                epoch = len(progress.epochs) + 1
                print(f"going on with epoch {epoch} of {training.recipe.epochs}", flush=True)
            known = len(progress.epochs)
            told = stack.enter_context(report.Report(out, training, tensorboard, known))
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
                    stop,
                    f"after {latest.step:,} of {total:,} steps; the same command goes on"
                    + (", without --anew" if anew else ""),
                )
    return latest


def _finish(
    phase: Phase, training: loop.Training, progress: loop.Progress, images: data.Dataset
) -> Model:
    """Measures the network, writes all files, the model last, and removes the checkpoints."""
    network, out = training.network, phase.out
    sample = _sample(training)
    variables = jax.device_get(
        recompute_batch_stats(network, progress.state.mean, loop.to_input(jnp.asarray(sample)))
    )
    none_output = phase.recipe.strangers > 0
    if none_output:
        variables = _with_none_bias(training, variables)
    test_logits = loop.logits(network, variables, images.test.images)
    validation_logits = loop.logits(network, variables, images.validation.images)
    valid = validation_logits.argmax(axis=1) == images.validation.labels
    right = test_logits.argmax(axis=1) == images.test.labels
    odd = None
    if none_output:
        others = strangers.make(
            np.random.RandomState([training.seed, 12]), STRANGERS, images.validation
        )
        odd = loop.logits(network, variables, others)
    model = phase.deployed(variables, sample)
    model = dataclasses.replace(
        model,
        gap_table=GapTable.measure(
            validation_logits, images.validation.labels, odd, none_output=none_output
        ),
        none_output=none_output,
        ink=_ink(training, images),
        class_names=images.own_names,
        info=model.info
        | phase.settings
        | {
            "images": images.convention,
            **({} if images.split == "random" else {"split": images.split}),
            "test_accuracy": float(right.mean()),
            "test_images": len(right),
            "validation_accuracy": float(valid.mean()),
            "validation_images": len(images.validation.labels),
        },
    )
    names = images.class_names
    pictures = figures.of_run(model, progress.epochs, images.test, test_logits, phase.title, names)
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


def _with_none_bias(training: loop.Training, variables: loop.Variables) -> loop.Variables:
    """The variables with the bias at which so few validation images as wanted are called none.

    How often strangers come in training says nothing about how often they come to a reader.
    """
    images = training.validation.images
    changed = augment.copy(jax.random.key(training.seed), images, training.recipe.augmentation)
    ahead = []
    for seen, share in zip((images, changed), CALLED_NONE, strict=True):
        logits = loop.logits(training.network, variables, seen)
        lead = logits[:, -1] - logits[:, :-1].max(axis=1)
        ahead.append(np.quantile(lead, 1 - share))
    params = dict(variables["params"])
    last = training.stages[-1].name
    bias = np.array(params[last]["bias"])
    bias[-1] -= max(ahead)
    params[last] = {**params[last], "bias": bias}
    return {**variables, "params": params}


def _sample(training: loop.Training) -> data.UInt8:
    """Some of the images that are learned: dirty ones and strangers too, where those are."""
    images, recipe = training.training.images, training.recipe
    augmentation = recipe.augmentation
    if not recipe.strangers and not (augmentation and augmentation.dirt):
        return images[:SAMPLE]
    drawn = np.random.RandomState(training.seed).permutation(len(images))[:SAMPLE]
    return augment.copy(jax.random.key(training.seed), images[drawn], augmentation)


def _ink(training: loop.Training, images: data.Dataset) -> Ink:
    """The limits of the ink of what was trained on, and how many of validation's are outside."""
    seen = images.training.images
    augmentation = training.recipe.augmentation
    if augmentation and augmentation.dirt:
        dirty = augment.copy(jax.random.key(training.seed), seen, augmentation)
        seen = np.concatenate([seen, dirty])
    return Ink.measure(seen[..., None], images.validation.images[..., None])


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
    try:
        import fcntl
    except ImportError:  # of Windows, which locks no folder
        yield
        return
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
