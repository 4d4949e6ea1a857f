"""How a network is trained: the recipes, by name, and how a user changes one."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lenet_export.errors import UserError


@dataclass(frozen=True)
class Within:
    """The least and the most that a field's number may be."""

    least: float
    most: float


Count = Annotated[int, Within(1, 100_000)]
Share = Annotated[float, Within(0, 1)]


@dataclass(frozen=True)
class Dirt:
    """The largest dirt of a training image, which gets one or two kinds of it, from 0 to this.

    Attributes:
        share: of the images that get any.
        coarse: a picture of fewer pixels, down to 9 a side for 1.
        thickness: strokes wider or thinner by 1 pixel on each side, times this.
        outline: the inside of strokes loses so much of its ink.
        lines: ink of lines across, solid, dashed or wavy.
        blur: part of a pixel's light that spreads to those around.
        shuffle: pixels change places, as behind frosted glass, over 2 pixels for 1.
        contrast: part of the ink that is lost.
        background: light of the paper, uneven; ink is 1.
        inversion: width of a band, as a part of the image, in which or beside which ink and paper
            change places.
        noise: standard deviation; ink is 1.
        specks: share of the pixels that are black or white instead.
    """

    share: Share = 0.0
    coarse: Share = 0.0
    thickness: Share = 0.0
    outline: Share = 0.0
    lines: Share = 0.0
    blur: Share = 0.0
    shuffle: Share = 0.0
    contrast: Share = 0.0
    background: Share = 0.0
    inversion: Annotated[float, Within(0, 2)] = 0.0
    noise: Share = 0.0
    specks: Share = 0.0


@dataclass(frozen=True)
class Augmentation:
    """The largest random change of a training image; each is drawn evenly from -x to x.

    The elastic one alone is drawn from a normal distribution.

    Attributes:
        rotation: degrees.
        scale: relative change of the height and, apart, of the width.
        shear: columns that the image leans a row.
        shift: pixels, up or down and, apart, left or right.
        elastic: pixels, standard deviation of the displacement of each node of a coarse grid.
        dirt: of light, lines, noise and pens; ``None`` keeps the images clean.
    """

    rotation: Annotated[float, Within(0, 180)] = 0.0
    scale: Annotated[float, Within(0, 0.9)] = 0.0
    shear: Share = 0.0
    shift: Annotated[float, Within(0, 28)] = 0.0
    elastic: Annotated[float, Within(0, 28)] = 0.0
    dirt: Dirt | None = None

    def times(self, share: float) -> Augmentation:
        """Each change times ``share``; with dirt, so much of the images gets it."""
        changes = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        dirt = changes.pop("dirt")
        return Augmentation(
            **{name: share * most for name, most in changes.items()},
            dirt=dirt and dataclasses.replace(dirt, share=share * dirt.share),
        )


@dataclass(frozen=True)
class Distillation:
    """How a student learns from teachers.

    Attributes:
        copies: of each training image, changed by the recipe's augmentation, that the teachers see.
        weight: what the teachers say counts so much, and the label the rest.
        temperature: the teachers' logits are divided by it.
    """

    copies: Count = 8
    weight: Share = 0.7
    temperature: Annotated[float, Within(0.01, 100)] = 2.0


@dataclass(frozen=True)
class FewBits:
    """How weights of few bits are trained, from a network that is trained already.

    It teaches them, unless other teachers are given. What is not said here is as for that network.

    Attributes:
        epochs: passes over the training images.
        lr: the highest learning rate; a half cosine leads to a hundredth of it.
        augmentation: that network's largest changes of an image are multiplied by it: fewer bits
            hold fewer of them.
    """

    epochs: Count = 10
    lr: Annotated[float, Within(0, 100)] = 1e-3
    augmentation: Share = 0.6


@dataclass(frozen=True)
class Recipe:
    """Everything that a training run depends on besides network, data and seed.

    Attributes:
        name: the name on the command line.
        epochs: passes over the training images.
        batch: images a step, of as many as fill whole batches. A small data set takes smaller
            batches, so that an epoch has at least ``min_steps`` steps.
        min_steps: steps that an epoch has at least; 1 leaves ``batch`` alone.
        optimizer: ``sgd`` or ``adamw``.
        lr: the highest learning rate.
        weight_decay: of ``adamw``, on kernels only.
        warmup_epochs: epochs in which the learning rate rises to its highest, step by step.
        final_rate: the learning rate of the last step as a part of the highest; a half cosine leads
            to it. 1 keeps the learning rate constant.
        sigmoid_gain: the kernels in front of a sigmoid start at this many times Xavier's range.
        sigmoid_mean: what a sigmoid is taken to give on average: the biases between two sigmoids
            start at minus that times their kernel's sum.
        ema: the share that the running mean of the parameters keeps at each step; the network that
            is measured and saved is that mean. 0 takes the last parameters.
        augmentation: what happens to the training images; ``None`` leaves them alone.
        strangers: images of no class that are learned beside the training images, as a part of
            their number; the network gets one more output, which stands for them. 0: it has none.
        more_digits: digits that are printed, of another hand or cut out of a line, likewise.
        distillation: how to learn from teachers; ``None`` for a recipe that has none.
        few_bits: how ``--bits`` is trained afterwards; ``None`` for what :class:`FewBits` says.
    """

    name: str
    epochs: Count
    batch: Count = 128
    min_steps: Count = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Within(0, 100)] = 0.1
    weight_decay: Annotated[float, Within(0, 100)] = 0.0
    warmup_epochs: Annotated[int, Within(0, 100_000)] = 0
    final_rate: Share = 1.0
    sigmoid_gain: Annotated[float, Within(0, 100)] = 1.0
    sigmoid_mean: Share = 0.0
    ema: Annotated[float, Within(0, 0.999999)] = 0.0
    augmentation: Augmentation | None = None
    strangers: Annotated[float, Within(0, 10)] = 0.0
    more_digits: Annotated[float, Within(0, 10)] = 0.0
    distillation: Distillation | None = None
    few_bits: FewBits | None = None

    def batch_size(self, images: int) -> int:
        """Images a step when there are ``images`` of them to train on."""
        return max(1, min(self.batch, images // self.min_steps))

    def for_few_bits(self) -> Recipe:
        """The recipe by which weights of few bits are trained afterwards."""
        how = self.few_bits or FewBits()
        return dataclasses.replace(
            self,
            epochs=how.epochs,
            optimizer="adamw",
            lr=how.lr,
            weight_decay=0.0,
            warmup_epochs=0,
            final_rate=0.01,
            ema=0.99,
            augmentation=self.augmentation and self.augmentation.times(how.augmentation),
            distillation=self.distillation or Distillation(),
        )

    @property
    def title(self) -> str:
        """Its name, and where it differs from the recipe of that name: ``best lr=0.002``."""
        named = dict(_leaves(RECIPES[self.name])) if self.name in RECIPES else {}
        # Of a group that it has not, only changes are told: a folder's name has its limits.
        named = dict(_beginnings(self)) | named
        changed = [(key, value) for key, value in _leaves(self) if named.get(key) != value]
        # 5 for 5.0, as one writes it.
        return " ".join(
            [self.name, *(f"{key}={value}".removesuffix(".0") for key, value in changed)]
        )

    def changed(self, settings: Iterable[str]) -> Recipe:
        """The recipe with other values, each a text ``field=value``.

        A field of a field is ``augmentation.rotation``; ``augmentation=none`` takes it all away.

        Raises:
            UserError: there is no such field, or the value is none of its type and range.
        """
        recipe = self
        for setting in settings:
            name, equals, text = setting.partition("=")
            if not equals:
                raise _mistake(setting, "is not FIELD=VALUE")
            recipe = _replaced(recipe, name.split("."), text, setting)
        return recipe


def _replaced(old: Any, path: list[str], text: str, setting: str) -> Any:
    """The dataclass ``old`` with ``text`` in the field that ``path`` leads to."""
    hints = _hints(type(old))
    name, *rest = path
    if name not in hints or (rest and not _group(hints[name])):
        raise _mistake(setting, "there is no such field")
    if rest:
        group = getattr(old, name) or _group(hints[name])()
        value = _replaced(group, rest, text, setting)
    else:
        value = _read(hints[name], text, setting)
    return dataclasses.replace(old, **{name: value})


def _read(hint: Any, text: str, setting: str) -> Any:
    """The value that ``text`` stands for in a field of the type ``hint``."""
    if _group(hint):
        if text == "none":
            return None
    elif typing.get_origin(hint) is Literal:
        if text in typing.get_args(hint):
            return text
    else:
        kind, within = typing.get_args(hint)
        try:
            value = kind(text)
        except ValueError:
            value = None
        # Written so that nan, which compares with nothing, is refused.
        if value is not None and within.least <= value <= within.most:
            return value
    raise UserError(
        f"--set {setting}",
        f"expected {_expected(hint)}",
        "give such a value; --set help lists all fields",
    )


def _mistake(setting: str, what: str) -> UserError:
    fields = "\n".join(f"    {name}: {_expected(hint)}" for name, hint in _fields(Recipe))
    return UserError(f"--set {setting}", what, f"the fields of a recipe are\n{fields}")


def _expected(hint: Any) -> str:
    if _group(hint):
        return "none, or set its fields"
    if typing.get_origin(hint) is Literal:
        return " or ".join(typing.get_args(hint))
    kind, within = typing.get_args(hint)
    noun = "a whole number" if kind is int else "a number"
    return f"{noun} from {within.least:,} to {within.most:,}"


def _hints(kind: type) -> dict[str, Any]:
    """The types of the fields that a user may set."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "name"}


def _group(hint: Any) -> Any:
    """The dataclass that a field of this type holds, or ``None``."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return None
    return next(kind for kind in typing.get_args(hint) if dataclasses.is_dataclass(kind))


def _fields(kind: type, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each field's full name and type."""
    for name, hint in _hints(kind).items():
        yield before + name, hint
        if _group(hint):
            yield from _fields(_group(hint), f"{before}{name}.")


def _leaves(value: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each field's full name and value; ``none`` for a group that is not there."""
    for name in _hints(type(value)):
        inner = getattr(value, name)
        if dataclasses.is_dataclass(inner):
            yield from _leaves(inner, f"{before}{name}.")
        else:
            yield before + name, "none" if inner is None else inner


def _beginnings(value: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """The same of its groups as they begin; but none of a group that is still so."""
    for name, hint in _hints(type(value)).items():
        inner, kind = getattr(value, name), _group(hint)
        if kind and inner not in (None, kind()):
            yield from _leaves(kind(), f"{before}{name}.")
            yield from _beginnings(inner, f"{before}{name}.")


# The textbook's own choices ("Dive into Deep Learning", section LeNet). Ten epochs end on or near
# the plateau at chance level that a sigmoid network starts on: that is what `best` is for.
TEXTBOOK = Recipe("textbook", epochs=10)

# The same ten epochs of SGD without the plateau, which has two causes. Sigmoid's slope is at most
# 1/4, so that the signal shrinks fourfold a layer where kernels start in Xavier's range; and its
# mean is 1/2, which the next kernel turns into an offset larger than what differs between images.
CURED = Recipe("cured", epochs=10, lr=1.0, sigmoid_gain=4.0, sigmoid_mean=0.5)

# How hands, pens and scanners differ.
HANDS = Augmentation(rotation=10, scale=0.1, shear=0.1, shift=2, elastic=0.5)

# Sigmoid's slope is at most 1/4, so Xavier's range shrinks the signal fourfold a layer; starting at
# 4 times Xavier takes the plateau away and leaves the architecture as it is. The epochs were chosen
# by MNIST's validation split: 99.42 % after 40, 99.58 % after 100; and so were the elastic changes:
# 99.62 % with them.
BEST = Recipe(
    "best",
    epochs=100,
    min_steps=40,
    optimizer="adamw",
    lr=4e-3,
    weight_decay=5e-3,
    warmup_epochs=1,
    final_rate=1e-3,
    sigmoid_gain=4.0,
    ema=0.998,
    augmentation=HANDS,
)

# For networks with ReLU and batch normalization. Chosen by MNIST's validation split, like the few
# bits' settings.
MODERN = Recipe(
    "modern",
    epochs=70,
    min_steps=40,
    optimizer="adamw",
    lr=4e-3,
    weight_decay=0.05,
    warmup_epochs=1,
    final_rate=1e-3,
    ema=0.999,
    augmentation=HANDS,
)

# To 99 % of MNIST in two epochs, for networks with ReLU and batch normalization: the learning rate
# falls from the first step to the last, and the running mean takes off what its height leaves.
FAST = Recipe(
    "fast",
    epochs=2,
    min_steps=40,
    optimizer="adamw",
    lr=0.01,
    weight_decay=0.05,
    final_rate=1e-3,
    ema=0.99,
)

# What pens, paper and cameras do.
PAPER = Dirt(
    share=0.25,
    coarse=1,
    thickness=1,
    outline=1,
    lines=1,
    blur=1,
    shuffle=1,
    contrast=0.8,
    background=0.65,
    inversion=1,
    noise=0.3,
    specks=0.2,
)

# For what a terminal sees: dirty digits, and what is none. Made to go on from a network that knows
# clean ones: lenet-train --from.
FIELD = dataclasses.replace(
    MODERN,
    name="field",
    epochs=130,
    lr=2e-3,
    augmentation=dataclasses.replace(HANDS, scale=0.2, dirt=PAPER),
    strangers=0.3,
    more_digits=0.15,
    distillation=Distillation(temperature=1.5),
)

RECIPES = {recipe.name: recipe for recipe in (BEST, CURED, FAST, FIELD, MODERN, TEXTBOOK)}
