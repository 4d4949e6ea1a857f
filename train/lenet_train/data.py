"""The data sets, split: UCI's small digits, MNIST, Fashion-MNIST, or the user's own."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.errors import UserError
from lenet_train import optdigits
from lenet_train.architectures import CLASSES, INPUT_SHAPE
from lenet_train.datasets import arrays, published
from lenet_train.datasets.part import Array, Part, Parts, check_size, listed, natural, told
from lenet_train.datasets.part import UInt8 as UInt8
from lenet_train.datasets.published import SOURCES
from lenet_train.datasets.registry import ABOUT, FORMS
from lenet_train.recipes import Recipe

#: Of MNIST, and of all named data sets.
SIDE = INPUT_SHAPE[0]
NAMES = ("digits", *SOURCES)

SPLITS = ("random", "groups")
FEWEST = 100  # images to train with, those among them that are held out
FEWEST_CLASSES, MOST_CLASSES = 2, 100
FEWEST_GROUPS = 4
HELD_FOR_TEST = 20  # % of the images, where a data set brings none to test
GROUP_EXCESS = 0.1  # of what is held out by groups: so much more may be

#: How an image of a data set is made from a camera's or scanner's; the C header prints it.
_DIGIT = "A digit is scaled to fit into 20x20 pixels and centred by its mass."
CONVENTIONS = {"digits": _DIGIT, "mnist": _DIGIT}


@dataclass(frozen=True)
class Examples:
    """Images uint8 ``(n, rows, columns)``, 0 background, 255 ink, and labels uint8 ``(n,)``.

    Where a teacher has judged them, labels are probabilities, float32 ``(n, classes)``.
    """

    images: UInt8
    labels: npt.NDArray[Any]

    def __getitem__(self, at: Any) -> Examples:
        """The images and labels at the places ``at``."""
        return Examples(self.images[at], self.labels[at])


@dataclass(frozen=True)
class Dataset:
    """A data set, split.

    Attributes:
        name: as the run calls it.
        training: what the network learns from.
        validation: what choices are made by; no image of it is learned from.
        test: what the result is measured on, once; nothing is chosen by it.
        class_names: what each label stands for, from 0.
        convention: how the images were made, in sentences for who makes others like them.
        split: how validation images were chosen: ``random``, ``groups``, or ``given``.
    """

    name: str
    training: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...] = tuple("0123456789")
    convention: str = ""
    split: str = "random"

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of each image."""
        _, rows, columns = self.training.images.shape
        return rows, columns, 1

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the classes, where they are more than their numbers from 0; else none."""
        is_plain = self.class_names == tuple(map(str, range(self.classes)))
        return () if is_plain else self.class_names

    @property
    def sha256(self) -> str:
        """The hash of the images and labels of all three splits, in order, and of names."""
        digest = hashlib.sha256()
        for part in (self.training, self.validation, self.test):
            digest.update(np.ascontiguousarray(part.images).tobytes())
            digest.update(np.ascontiguousarray(part.labels).tobytes())
        digest.update("\n".join(self.own_names).encode())
        return digest.hexdigest()


def load(
    name: str, *, split: str | None = None, invert: bool = False, transpose: bool = False
) -> Dataset:
    """The data set ``name``, checked and split; what a user should know of it goes to stderr.

    Args:
        name: one of :data:`NAMES`, or a path to one of the forms in ``datasets/registry.py``.
        split: ``random``, or by ``groups``: then no image that is held out is of a group that
            trains. ``None``: by groups where a user's own data set has them.
        invert: takes 255 minus each pixel.
        transpose: takes columns for rows.

    Raises:
        UserError: there is no such data set, or no network can learn it.
    """
    if split == "groups" and name in NAMES and name != "mnist":
        raise _no_groups(name)
    if name == "digits":
        dataset = digits()
    else:
        by_groups = split == "groups"
        parts = published.read(name, by_groups) if name in SOURCES else _own(Path(name))
        for note in parts.notes:
            _say(name, note)
        dataset = _assembled(name, parts, split)
    dataset = _turned(dataset, invert, transpose)
    _tell_polarity(name, dataset.training.images, invert)
    return dataset


def called(name: str) -> str:
    """What a run calls the data set ``name``.

    It goes into the model's file, which tells no path of the user's machine.
    """
    if name in NAMES:
        return name
    path = Path(name).resolve()
    short = path.name if path.is_dir() else path.name.split(".")[0] or path.name
    # Not the published one: that is asked for by its name.
    return f"own-{short}" if short in NAMES else short


def _say(name: str, text: str) -> None:
    print(f"{name}: {text}", file=sys.stderr)


def _own(path: Path) -> Parts:
    """The user's own data set.

    Raises:
        UserError: there is none of a known form.
    """
    form = next((form for form in FORMS if form.recognizes(path)), None)
    if form:
        return form.read(path)
    if not path.exists():
        what = "is neither the name of a data set nor a file or folder"
        raise UserError(path, what, f"names: {', '.join(NAMES)}; or {ABOUT}")
    if not path.is_dir():
        raise UserError(path, "is a file of no form that is known", f"give {ABOUT}")
    inside = next((file for file in path.iterdir() if arrays.recognizes(file)), None)
    remedy = f"give the file: --dataset {inside}" if inside else f"give {ABOUT}"
    raise UserError(path, "is a folder with no data set in it", remedy)


def _assembled(name: str, parts: Parts, split: str | None) -> Dataset:
    """The parts as a data set: labels numbered from 0, and what is missing held out.

    Raises:
        UserError: they do not go together, or are too few.
    """
    training = parts.by_purpose["training"]
    _check_images(parts.by_purpose)
    values, names = _classes(name, parts.by_purpose)
    examples = {
        purpose: Examples(part.images, _numbered(part.labels, values).astype(np.uint8))
        for purpose, part in parts.by_purpose.items()
    }
    if split == "groups" and training.groups is None:
        raise _no_groups(training.where)
    groups = None if split == "random" else training.groups
    if groups is not None and len(np.unique(groups)) < FEWEST_GROUPS:
        what = f"groups: {len(np.unique(groups))}, expected {FEWEST_GROUPS} at least"
        raise UserError(training.where, what, "give smaller ones, or --split random")
    learned, how = examples["training"], "random" if groups is None else "groups"
    if "test" not in examples:
        wanted = len(learned.labels) * HELD_FOR_TEST // 100
        stay, held = _hold_out(learned, wanted, groups)
        _say(name, f"no test images: {len(held):,} of {len(learned.labels):,} are held out for it")
        examples["test"], learned = learned[held], learned[stay]
        groups = None if groups is None else groups[stay]
    if "validation" in examples:
        how = "given"
    else:
        stay, held = _hold_out(learned, _wanted(learned), groups)
        if groups is not None:
            count = len(np.unique(groups[held]))
            found = f"{len(held):,} images of {count:,} groups"
            _say(name, f"validation has {found}, none of which trains")
        examples["validation"], learned = learned[held], learned[stay]
    without = set(range(len(names))) - set(learned.labels.tolist())
    if without:
        raise UserError(
            training.where,
            f"no image of class {names[min(without)]} is left to train with, behind those held out",
            "give more images of it",
        )
    convention = CONVENTIONS.get(name, "")
    return Dataset(
        called(name), learned, examples["validation"], examples["test"], names, convention, how
    )


def _check_images(parts: Mapping[str, Part]) -> None:
    """Checks that there are enough images, and all are of one size.

    Raises:
        UserError: they are not.
    """
    training = parts["training"]
    if len(training.images) < FEWEST:
        raise UserError(
            training.where,
            f"has {len(training.images)} images, expected at least {FEWEST}",
            "give more images",
        )
    for purpose, part in parts.items():
        check_size(part.where, part.images.shape[1:], "has images of")
        if part.images.shape[1:] != training.images.shape[1:]:
            raise UserError(
                part.where,
                f"has images of {told(part.images.shape[1:])} pixels for {purpose}, and "
                f"{told(training.images.shape[1:])} for training",
                "bring them to one size",
            )


def _classes(name: str, parts: Mapping[str, Part]) -> tuple[Array, tuple[str, ...]]:
    """The labels that there are, in the order of the network's outputs, and their names.

    Raises:
        UserError: there are too few, too many, or some that training has not.
    """
    training = parts["training"]
    values = np.unique(training.labels)
    if len(values) < FEWEST_CLASSES:
        raise UserError(
            training.where,
            f"every label is {values[0]}, expected more than one class",
            "give images of two classes at least",
        )
    if len(values) > MOST_CLASSES:
        raise UserError(
            training.where,
            f"has {len(values)} classes, {values[0]} to {values[-1]}, expected {MOST_CLASSES} at "
            "most",
            "leave some out; or are these no classes?",
        )
    if values.dtype.kind == "U":
        values = np.array(sorted(values.tolist(), key=natural))
    elif values[0] < 0:
        raise UserError(training.where, f"has the label {values[0]}", "number classes from 0")
    for purpose, part in parts.items():
        if (part.labels.dtype.kind == "U") != (values.dtype.kind == "U"):
            raise UserError(
                part.where,
                f"labels the images for {purpose} by {_kind(part.labels)}, and those for training "
                f"by {_kind(values)}",
                "label training and test images alike",
            )
        unknown = np.setdiff1d(part.labels, values)
        if len(unknown):
            raise UserError(
                part.where,
                f"has the label {unknown[0]}, which no training image has",
                "label training and test images alike",
            )
    names = tuple(map(str, values.tolist()))
    for text in names:
        if not text.strip() or not text.isprintable():
            raise UserError(training.where, f"the class {text!r} has no name to print", "rename it")
    if values.dtype.kind != "U" and names != tuple(map(str, range(len(names)))):
        _say(name, f"the labels {listed(names)} are the network's classes 0 to {len(names) - 1}")
    return values, names


def _kind(labels: Array) -> str:
    """What labels are, in a word."""
    return "names" if labels.dtype.kind == "U" else "numbers"


def _numbered(labels: Array, values: Array) -> npt.NDArray[np.intp]:
    """The place of each label in ``values``, which holds it."""
    order = np.argsort(values)
    return order[np.searchsorted(values, labels, sorter=order)]


def _hold_out(
    examples: Examples, wanted: int, groups: Array | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Places of the images that stay and of those held out, in a fixed random order.

    Args:
        examples: which have them.
        wanted: how many are held out; by groups, about so many.
        groups: those of the images, each of which stays or is held out as a whole; or ``None``.
    """
    # RandomState and not Generator: only its numbers are promised to stay the same (NEP 19).
    random = np.random.RandomState(1998)
    if groups is None:
        order = random.permutation(len(examples.labels))
        return order[:-wanted], order[-wanted:]
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    taken, count = [], 0
    for number in random.permutation(len(sizes)):
        if count < wanted and count + sizes[number] <= wanted * (1 + GROUP_EXCESS):
            taken.append(number)
            count += sizes[number]
    held = np.isin(group, taken or [sizes.argmin()])
    order = random.permutation(len(groups))
    return order[~held[order]], order[held[order]]


def _no_groups(where: object) -> UserError:
    what = "tells no groups of its images, which --split groups keeps apart"
    remedy = 'leave it out, or give an .npz file with an array "groups"'
    return UserError(where, what, remedy)


def _turned(dataset: Dataset, invert: bool, transpose: bool) -> Dataset:
    """The data set with its images changed as the user asked, which its convention then tells."""

    def turned(part: Examples) -> Examples:
        images = 255 - part.images if invert else part.images
        return Examples(images.swapaxes(1, 2).copy() if transpose else images, part.labels)

    convention = [dataset.convention] if dataset.convention else []
    convention += ["A pixel is 255 minus that of the data set."] if invert else []
    convention += ["Rows are the columns of the data set."] if transpose else []
    return replace(
        dataset,
        training=turned(dataset.training),
        validation=turned(dataset.validation),
        test=turned(dataset.test),
        convention=" ".join(convention),
    )


def _tell_polarity(name: str, images: UInt8, invert: bool) -> None:
    """Says so where the images look like ink on paper: 0 is background, here and in the C."""
    border = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    if np.quantile(border, 0.25) > 127:
        _say(
            name,
            "the images' borders are bright, though 0 is background and 255 ink here, and the "
            "network adds a border of 0: "
            + ("leave out --invert" if invert else "give --invert if this is ink on paper"),
        )


def check_beside(recipe: Recipe, name: str, images: Dataset | None = None) -> None:
    """Makes sure that what a recipe learns beside the images is of their kind.

    Args:
        recipe: how to train.
        name: of the data set.
        images: where they are loaded.

    Raises:
        UserError: they are no digits as MNIST has them.
    """
    fields = [field for field in ("more_digits", "strangers") if getattr(recipe, field)]
    if name in SOURCES and name not in CONVENTIONS:
        fits = fields == ["strangers"]
    else:
        shape, names = INPUT_SHAPE, tuple(map(str, range(CLASSES)))
        fits = not images or (images.input_shape, images.class_names) == (shape, names)
    if fields and not fits:
        raise UserError(
            f"--dataset {name}",
            f"recipe {recipe.title} learns {' and '.join(fields)} beside its images, which are no "
            f"digits of {SIDE}x{SIDE}",
            f"learn none: {' '.join(f'--set {field}=0' for field in fields)}; or give a data set "
            "of digits",
        )


def _split(name: str, images: Examples, test: Examples) -> Dataset:
    """Takes the validation split at random from the training images."""
    stay, held = _hold_out(images, _wanted(images), None)
    return Dataset(name, images[stay], images[held], test, convention=CONVENTIONS.get(name, ""))


def _wanted(images: Examples) -> int:
    """How many of the training images are held out for validation."""
    return min(5000, len(images.labels) * 15 // 100)


def digits() -> Dataset:
    """UCI's 1,797 small digits, made like MNIST's; 360 of them at random are the test images.

    Each 8x8 image is enlarged to 20x20 by a cubic spline and put into 28x28 by its centre of mass,
    as MNIST's were. ``optdigits/README.md`` tells their source.
    """
    from scipy.ndimage import center_of_mass, zoom

    small, labels = optdigits.load()
    images = np.zeros((len(small), SIDE, SIDE), np.uint8)
    for image, eight in zip(images, small.astype(np.float64), strict=True):
        twenty = zoom(eight, 20 / 8, order=3, mode="nearest", grid_mode=True)
        twenty = np.clip(twenty * (255 / 16), 0, 255).round()
        corner = [round((SIDE - 1) / 2 - place) for place in center_of_mass(twenty)]
        top, left = np.clip(corner, 0, SIDE - 20)
        image[top : top + 20, left : left + 20] = twenty
    everything = Examples(images, labels)
    order = np.random.RandomState(1998).permutation(len(images))
    return _split("digits", everything[order[:-360]], everything[order[-360:]])
