"""The networks that can be trained, each a chain of stages.

LeNet is that of Zhang, Lipton, Li, Smola, "Dive into Deep Learning", section "Convolutional Neural
Networks (LeNet)"; its parts can be swapped for those that came after it. LeNet-5 is that of
LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86, 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lenet_export import activations, pools
from lenet_export.checkpoint import POOL_MAX, Stage
from lenet_export.errors import UserError

#: Of MNIST's images and classes, for which the sizes in the comments below are.
INPUT_SHAPE = (28, 28, 1)
CLASSES = 10

ACTIVATIONS = tuple(activations.ACTIVATIONS)
POOLS = (*pools.POOLS, "stride")
NORMS = ("none", "batch", "layer")
INITS = ("xavier", "he")
HEADS = ("dense", "gap")

# LeNet as the textbook draws it: 61,706 parameters.         28x28x1, the image bytes divided by 255
LENET_STAGES = (
    Stage("conv1", "conv", 6, "sigmoid", (5, 5), "SAME", "avg", 2),  # 28x28x6, pooled 14x14x6
    Stage("conv2", "conv", 16, "sigmoid", (5, 5), "VALID", "avg", 2),  # 10x10x16, pooled 5x5x16
    Stage("fc1", "dense", 120, "sigmoid"),
    Stage("fc2", "dense", 84, "sigmoid"),
    Stage("fc3", "dense", CLASSES),
)
DENSE = tuple(stage.features for stage in LENET_STAGES[2:-1])
LAST = LENET_STAGES[-1].name

# The dense baseline: 203,530 parameters.
MLP_STAGES = (
    Stage("fc1", "dense", 256, "relu"),
    Stage("fc2", "dense", CLASSES),
)

# For the 512 bytes of RAM and 8 KB of flash of an ATtiny85: 4,622 parameters. A strip of rows takes
# RAM for what a row has, so that the first convolution moves on by 3 columns, but by 2 rows: those
# come one after the other.
TINY_STAGES = (
    Stage("conv1", "conv", 6, "relu", (3, 5), "VALID", stride=2, column_stride=3),  # 13x8x6
    Stage("conv2", "conv", 12, "relu", (3, 5), "VALID", stride=3),  # 4x2x12
    Stage("fc1", "dense", 32, "relu"),
    Stage("fc2", "dense", CLASSES),
)

# LeNet-5 of 1998, section II.B: 60,850 parameters. A border of 2 stands for its 32x32 input; images
# that are 32x32 get none. S2 and
# S4 add up 2x2 places of a map, multiply by the map's coefficient, and add its bias. C5 sees all of
# its input, so that it is dense. The 10 radial basis functions at the end, with which the paper
# compares F6 to drawn letters, are a dense layer here, trained with cross-entropy like the others.
LENET5_STAGES = (
    Stage("c1", "conv", 6, "scaled_tanh", (5, 5), "SAME"),  # 28x28x6
    Stage("s2", "conv", 6, "scaled_tanh", (2, 2), "VALID", stride=2),  # 14x14x6
    Stage("c3", "conv", 16, "scaled_tanh", (5, 5), "VALID"),  # 10x10x16
    Stage("s4", "conv", 16, "scaled_tanh", (2, 2), "VALID", stride=2),  # 5x5x16
    Stage("c5", "dense", 120, "scaled_tanh"),
    Stage("f6", "dense", 84, "scaled_tanh"),
    Stage("output", "dense", CLASSES),
)

# The maps of S2 that each map of C3 sees: the paper's table I, column by column.
C3_SEES = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """A network to train.

    Attributes:
        title: its name and what was swapped, e.g. ``lenet relu max``.
        stages: the chain as it is exported.
        input_shape: rows, columns and channels of its images.
        norm: what stands between each hidden layer and its activation, a name in :data:`NORMS`.
        init: what the kernels start at: ``xavier`` or ``he``, evenly drawn.
        subsampling: the convolutions that have one weight a map.
        sees: convolutions whose maps see some of the input's maps only, with those of each.
    """

    title: str
    stages: tuple[Stage, ...]
    input_shape: tuple[int, int, int] = INPUT_SHAPE
    norm: str = "none"
    init: str = "xavier"
    subsampling: tuple[str, ...] = ()
    sees: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()

    def weights(self, stage: Stage, shape: tuple[int, ...]) -> int:
        """How many numbers the layer learns, for an input of ``shape``; its norm's among them."""
        if stage.name in self.subsampling:
            kernel = stage.features
        elif stage.name in dict(self.sees):
            kernel = math.prod(stage.kernel or ()) * sum(map(len, dict(self.sees)[stage.name]))
        else:
            kernel = math.prod(stage.kernel_shape(shape))
        is_normed = self.norm != "none" and stage != self.stages[-1]
        return kernel + stage.features * (3 if is_normed else 1)

    def with_none_output(self) -> Architecture:
        """The same with one more output, which stands for images of no class."""
        *hidden, last = self.stages
        stages = (*hidden, replace(last, features=last.features + 1))
        return replace(self, title=f"{self.title} none", stages=stages)


def mlp(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = CLASSES) -> Architecture:
    """The dense baseline, for images and classes of any number."""
    return Architecture("mlp", _giving(classes, MLP_STAGES), input_shape)


def tiny(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = CLASSES) -> Architecture:
    """A network for chips of 512 bytes of RAM, with batch normalization.

    Raises:
        UserError: its convolutions do not fit the image.
    """
    stages = _giving(classes, TINY_STAGES)
    shape: tuple[int, ...] = input_shape
    for stage in stages[:2]:
        _check_fits(stage, shape, "--arch tiny", "give larger images, or --arch mlp")
        shape = stage.output_shape(shape)
    return Architecture("tiny", stages, input_shape, norm="batch", init="he")


def lenet5(input_shape: tuple[int, int, int] = INPUT_SHAPE, classes: int = CLASSES) -> Architecture:
    """LeNet-5 of 1998.

    Raises:
        UserError: its convolutions do not fit the image.
    """
    first, *others = _giving(classes, LENET5_STAGES)
    is_bordered = input_shape[:2] == (32, 32)
    stages = (replace(first, padding="VALID") if is_bordered else first, *others)
    shape: tuple[int, ...] = input_shape
    for stage in stages[:4]:
        _check_fits(stage, shape, "--arch lenet5-1998", "give larger images, or --arch mlp")
        shape = stage.output_shape(shape)
    sees = (("c3", C3_SEES),)
    return Architecture("lenet5-1998", stages, input_shape, subsampling=("s2", "s4"), sees=sees)


def lenet(
    activation: str = "sigmoid",
    pool: str = "avg",
    norm: str = "none",
    init: str = "xavier",
    head: str = "dense",
    channels: tuple[int, ...] = (6, 16),
    kernels: tuple[int, ...] = (5, 5),
    dense: tuple[int, ...] = DENSE,
    input_shape: tuple[int, int, int] = INPUT_SHAPE,
    classes: int = CLASSES,
) -> Architecture:
    """LeNet, or what it becomes when parts of it are swapped.

    Args:
        activation: of every hidden layer, a name in :data:`ACTIVATIONS`.
        pool: ``avg``, ``max``, or ``stride``: the convolutions themselves move on by 2.
        norm: a name in :data:`NORMS`.
        init: a name in :data:`INITS`.
        head: ``dense``, or ``gap``: in the place of the last pool and the hidden dense layers, the
            mean of each map.
        channels: of each convolution; the first is padded, the others are not.
        kernels: sides of their kernels.
        dense: units of each hidden dense layer; the head ``gap`` has none.
        input_shape: rows, columns and channels of the images.
        classes: outputs.

    Raises:
        UserError: the convolutions do not fit the image, or there is a kernel too many or too few.
    """
    if len(channels) != len(kernels):
        raise UserError(
            f"--channels {_listed(channels)}",
            f"does not go with --kernels {_listed(kernels)}",
            "give as many kernels as channels, one for each convolution",
        )
    stages: list[Stage] = []
    shape: tuple[int, ...] = input_shape
    layer_norm = "layer" if norm == "layer" else "none"
    for number, (features, side) in enumerate(zip(channels, kernels, strict=True), 1):
        conv = Stage(f"conv{number}", "conv", features, activation, (side, side), norm=layer_norm)
        conv = replace(
            conv,
            padding="SAME" if number == 1 else "VALID",
            pool="none" if pool == "stride" else pool,
            pool_size=1 if pool == "stride" else 2,
            stride=2 if pool == "stride" else 1,
        )
        if head == "gap" and number == len(channels):
            conv = replace(conv, pool="none", pool_size=1)
            whole, columns, _ = conv.output_shape(shape)
            if whole != columns:
                raise UserError(
                    "--head gap",
                    f"takes the mean of a square map, and {conv.name} gives {whole}x{columns}",
                    "take --head dense, or square images",
                )
            conv = replace(conv, pool="avg", pool_size=whole) if whole > 1 else conv
        stages.append(conv)
        _check_fits(
            conv,
            shape,
            f"--channels {_listed(channels)} --kernels {_listed(kernels)}",
            "take smaller kernels, fewer or more convolutions, or another --pool or --head",
        )
        shape = conv.output_shape(shape)
    hidden = () if head == "gap" else dense
    for number, units in enumerate(hidden, 1):
        stages.append(Stage(f"fc{number}", "dense", units, activation, norm=layer_norm))
    stages.append(Stage(LAST if head == "gap" else f"fc{len(hidden) + 1}", "dense", classes))
    changes = [
        activation if activation != "sigmoid" else "",
        pool if pool != "avg" else "",
        norm if norm != "none" else "",
        init if init != "xavier" else "",
        head if head != "dense" else "",
        f"channels={_listed(channels)}" if channels != (6, 16) else "",
        f"kernels={_listed(kernels)}" if kernels != (5, 5) else "",
        f"dense={_listed(dense) or 'none'}" if head == "dense" and dense != DENSE else "",
    ]
    title = " ".join(["lenet", *filter(None, changes)])
    return Architecture(title, tuple(stages), input_shape, norm, init)


def _giving(classes: int, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The chain with as many outputs as there are classes."""
    return (*stages[:-1], replace(stages[-1], features=classes))


def _check_fits(stage: Stage, shape: tuple[int, ...], where: str, remedy: str) -> None:
    """Checks that a convolution and its pool have room in what is in front of them.

    Raises:
        UserError: they have none.
    """
    smallest = 0 if stage.stride > min(stage.kernel or (1,)) else min(stage.output_shape(shape))
    if smallest < 1 or stage.pool_size > POOL_MAX:
        what = f"{stage.name} does not fit its input, {shape[0]}x{shape[1]}"
        raise UserError(where, what, remedy)


def _listed(sizes: tuple[int, ...]) -> str:
    return ",".join(map(str, sizes))


MLP, LENET5, TINY = mlp(), lenet5(), tiny()
#: By name: of the shape of the images and the number of classes.
NAMED: dict[str, Callable[..., Architecture]] = {
    "lenet": lenet,
    "lenet5-1998": lenet5,
    "mlp": mlp,
    "tiny": tiny,
}
