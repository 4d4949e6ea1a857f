"""The networks: LeNet as the textbook draws it, and a dense baseline.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86, 1998, in the form of Zhang, Lipton, Li, Smola, "Dive into Deep
Learning", section "Convolutional Neural Networks (LeNet)".
"""

from __future__ import annotations

import flax.linen as nn
import jax

from lenet_export.checkpoint import Stage
from lenet_train.conv import Conv

INPUT_SHAPE = (28, 28, 1)

xavier = nn.initializers.xavier_uniform()


class LeNet(nn.Module):
    """LeNet, 61,706 parameters.

    Takes float32 ``(images, 28, 28, 1)``, the image bytes divided by 255, and gives float32 logits
    ``(images, 10)``.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The logits of the images ``x``."""
        x = nn.sigmoid(Conv(6, (5, 5), padding="SAME", tile=4, name="conv1")(x))
        x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = nn.sigmoid(Conv(16, (5, 5), padding="VALID", tile=2, name="conv2")(x))
        x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        x = nn.sigmoid(nn.Dense(120, kernel_init=xavier, name="fc1")(x))
        x = nn.sigmoid(nn.Dense(84, kernel_init=xavier, name="fc2")(x))
        return nn.Dense(10, kernel_init=xavier, name="fc3")(x)


LENET_STAGES = (
    Stage("conv1", "conv", 6, "sigmoid", (5, 5), "SAME", "avg", 2),
    Stage("conv2", "conv", 16, "sigmoid", (5, 5), "VALID", "avg", 2),
    Stage("fc1", "dense", 120, "sigmoid"),
    Stage("fc2", "dense", 84, "sigmoid"),
    Stage("fc3", "dense", 10),
)


class MLP(nn.Module):
    """The dense baseline: one hidden layer of 256 ReLU units, 203,530 parameters.

    Input and output are those of :class:`LeNet`.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The logits of the images ``x``."""
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(256, kernel_init=xavier, name="fc1")(x))
        return nn.Dense(10, kernel_init=xavier, name="fc2")(x)


MLP_STAGES = (
    Stage("fc1", "dense", 256, "relu"),
    Stage("fc2", "dense", 10),
)

ARCHITECTURES: dict[str, tuple[type[nn.Module], tuple[Stage, ...]]] = {
    "lenet": (LeNet, LENET_STAGES),
    "mlp": (MLP, MLP_STAGES),
}
