"""Networks as their authors write them, of every form, are proven or refused by name."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from jax import lax

import lenet_export
from lenet_export import UserError, float_network
from lenet_export.readers.registry import read
from variables import drawn_for, drawn_like

KEY = jax.random.key(0)


class FlaxMnist(nn.Module):
    """The MNIST example of Flax, linen."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(features=32, kernel_size=(3, 3))(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = nn.Conv(features=64, kernel_size=(3, 3))(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.Dense(features=32)(x)
        x = nn.relu(x)
        return nn.Dense(features=10)(x)


class D2lLeNet(nn.Module):
    """A textbook's class that holds its net."""

    def setup(self):
        self.net = nn.Sequential(
            [
                nn.Conv(6, kernel_size=(5, 5), padding="SAME"),
                nn.sigmoid,
                lambda x: nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2)),
                nn.Conv(16, kernel_size=(5, 5), padding="VALID"),
                nn.sigmoid,
                lambda x: nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2)),
                lambda x: x.reshape((x.shape[0], -1)),
                nn.Dense(120),
                nn.sigmoid,
                nn.Dense(84),
                nn.sigmoid,
                nn.Dense(10),
            ]
        )

    def __call__(self, x):
        return self.net(x)


class NnxMnist(nnx.Module):
    """The MNIST example of Flax, nnx: with batch normalization and dropout."""

    def __init__(self, *, rngs):
        self.conv1 = nnx.Conv(1, 8, kernel_size=(3, 3), rngs=rngs)
        self.batch_norm1 = nnx.BatchNorm(8, rngs=rngs)
        self.dropout1 = nnx.Dropout(rate=0.025)
        self.conv2 = nnx.Conv(8, 16, kernel_size=(3, 3), rngs=rngs)
        self.batch_norm2 = nnx.BatchNorm(16, rngs=rngs)
        self.avg_pool = partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
        self.linear1 = nnx.Linear(784, 32, rngs=rngs)
        self.dropout2 = nnx.Dropout(rate=0.025)
        self.linear2 = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x, rngs=None):
        x = self.avg_pool(nnx.relu(self.batch_norm1(self.dropout1(self.conv1(x), rngs=rngs))))
        x = self.avg_pool(nnx.relu(self.batch_norm2(self.conv2(x))))
        x = x.reshape(x.shape[0], -1)
        x = nnx.relu(self.dropout2(self.linear1(x), rngs=rngs))
        return self.linear2(x)


class Setup(nn.Module):
    """A LeNet of named layers, the maximum in front of the activation, log_softmax at the end."""

    def setup(self):
        self.conv1 = nn.Conv(6, (5, 5), padding=2)
        self.conv2 = nn.Conv(16, (5, 5), padding="VALID")
        self.fc1 = nn.Dense(84)
        self.fc2 = nn.Dense(10)

    def __call__(self, x):
        x = nn.relu(nn.max_pool(self.conv1(x), (2, 2), (2, 2)))
        x = nn.relu(nn.max_pool(self.conv2(x), (2, 2), (2, 2)))
        x = nn.relu(self.fc1(x.reshape(len(x), -1)))
        return nn.log_softmax(self.fc2(x))


class Cifar(nn.Module):
    """A small colour network of blocks: BatchNorm, dropout, ``train=``, a mean over the map."""

    @nn.compact
    def __call__(self, x, train: bool = True):
        x = (x - jnp.array([0.4914, 0.4822, 0.4465])) / jnp.array([0.2470, 0.2435, 0.2616])
        for features in (8, 16):
            x = nn.Conv(features, (3, 3), padding="VALID", use_bias=False)(x)
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = nn.max_pool(nn.relu(x), (2, 2), strides=(2, 2))
            x = nn.Dropout(0.1, deterministic=not train)(x)
        x = nn.relu(nn.Conv(24, (3, 3))(x))
        return nn.Dense(10)(jnp.mean(x, axis=(1, 2)))


class Block(nn.Module):
    """A convolution, its norm and its activation."""

    features: int
    strides: int = 1

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.features, (3, 3), strides=self.strides)(x)
        return nn.gelu(nn.LayerNorm(epsilon=1e-5)(x))


class Blocks(nn.Module):
    """Blocks of its own, LayerNorm with PyTorch's epsilon, strides in place of pools."""

    @nn.compact
    def __call__(self, x):
        x = Block(8, 2)(x)
        x = Block(16, 2)(x)
        return nn.Dense(10)(x.reshape(len(x), -1))


class Mlp(nn.Module):
    """Dense layers on a vector of 784 numbers, the activations between them in a loop."""

    @nn.compact
    def __call__(self, x):
        for width in (48, 24):
            x = nn.tanh(nn.Dense(width)(x))
        return nn.softmax(nn.Dense(10)(x))


class Keywords(nn.Module):
    """Depthwise separable convolutions on a spectrogram, with batch normalization."""

    @nn.compact
    def __call__(self, x):
        norm = partial(nn.BatchNorm, use_running_average=True)
        x = nn.relu(norm()(nn.Conv(8, (10, 4), strides=(2, 2))(x)))
        for _ in range(2):
            x = nn.relu(norm()(nn.Conv(8, (3, 3), feature_group_count=8)(x)))
            x = nn.relu(norm()(nn.Conv(8, (1, 1))(x)))
        x = nn.avg_pool(x, (5, 5), strides=(5, 5))
        return nn.Dense(12)(x.reshape(len(x), -1))


class Binary(nn.Module):
    """One output, squeezed: whether it is a digit."""

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(4, (3, 3))(x[..., None])), (4, 4), (4, 4))
        x = nn.Dense(1)(x.reshape(len(x), -1))
        return nn.sigmoid(x).squeeze(-1)


class Classic(nn.Module):
    """As in 1998: the mean in front of the activation, which is the scaled tanh."""

    @nn.compact
    def __call__(self, x):
        def squash(z):
            return 1.7159 * jnp.tanh(2 / 3 * z)

        x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        x = squash(nn.avg_pool(nn.Conv(6, (5, 5), padding="VALID")(x), (2, 2), (2, 2)))
        x = squash(nn.avg_pool(nn.Conv(16, (5, 5), padding="VALID")(x), (2, 2), (2, 2)))
        x = squash(nn.Conv(60, (5, 5), padding="VALID")(x))
        x = nn.DenseGeneral(42, axis=(1, 2, 3))(x)
        return nn.Dense(10)(squash(x))


class FullyConvolutional(nn.Module):
    """No dense layer, a norm behind the activation, reflected in the layer that follows."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(6, (3, 3), strides=2, padding=1)(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.relu(nn.Conv(12, (3, 3), padding="VALID")(x))
        return nn.Conv(10, (1, 1))(x).mean((1, 2))


def normal(rng, *shape):
    return rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape).astype("f4")


def plain_function():
    """As a tutorial of JAX writes a network: a list of pairs, inverted images, a loop."""
    rng = np.random.default_rng(0)
    sizes = (784, 32, 16, 10)
    params = [(normal(rng, m, n), 0.1 * normal(rng, n)) for m, n in pairwise(sizes)]

    def predict(images):
        x = 1 - images.reshape(-1, 784)
        for weights, bias in params[:-1]:
            x = jax.nn.sigmoid(jnp.dot(x, weights) + bias)
        weights, bias = params[-1]
        return jnp.dot(x, weights) + bias

    return predict, None


def per_image():
    """As Equinox's example: one image, channels first, ``vmap``, its weights outputs first."""
    rng = np.random.default_rng(1)
    conv, bias = normal(rng, 3, 3, 1, 4).transpose(3, 2, 0, 1), 0.1 * normal(rng, 4, 1, 1)
    layers = [
        (normal(rng, 256, 20).T, normal(rng, 20)),
        (normal(rng, 20, 10).T, normal(rng, 10)),
    ]

    def model(x):
        x = lax.conv_general_dilated(x[None], conv, (1, 1), "VALID")[0] + bias
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3), (1, 3, 3), "VALID")
        x = jnp.ravel(jax.nn.relu(x))
        x = jax.nn.sigmoid(layers[0][0] @ x + layers[0][1])
        return jax.nn.log_softmax(layers[1][0] @ x + layers[1][1])

    return jax.vmap(model), None


def haiku_style():
    """As Haiku's LeNet after ``transform``: ``apply(params, images)``, layers by module."""
    rng = np.random.default_rng(2)
    params = {
        "lenet/~/conv2_d": {"w": normal(rng, 5, 5, 1, 6), "b": 0.1 * normal(rng, 6)},
        "lenet/~/conv2_d_1": {"w": normal(rng, 5, 5, 6, 8), "b": 0.1 * normal(rng, 8)},
        "lenet/~/linear": {"w": normal(rng, 392, 10), "b": 0.1 * normal(rng, 10)},
    }

    def apply(params, images):
        x = images.astype(jnp.float32) / 255.0
        for name in ("conv2_d", "conv2_d_1"):
            layer = params[f"lenet/~/{name}"]
            axes = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, layer["w"], (1, 1), "SAME", None, None, axes)
            x = jax.nn.relu(x + jnp.broadcast_to(layer["b"], x.shape))
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
        layer = params["lenet/~/linear"]
        return jnp.reshape(x, (x.shape[0], -1)) @ layer["w"] + layer["b"]

    return apply, params


class Residual(nn.Module):
    """A sum of two paths."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.relu(x + nn.Conv(8, (3, 3))(x))
        return nn.Dense(10)(x.mean((1, 2)))


class AlexNetLike(nn.Module):
    """Pools whose windows overlap, with a border and without, the activation on either side."""

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(8, (5, 5))(x)), (3, 3), strides=(2, 2))
        x = nn.relu(nn.max_pool(nn.Conv(12, (3, 3))(x), (3, 3), strides=(2, 2), padding="SAME"))
        x = nn.avg_pool(x, (2, 2))
        return nn.Dense(10)(x.reshape(len(x), -1))


MNIST, COLOUR, SPECTROGRAM = (28, 28, 1), (32, 32, 3), (49, 10, 1)

#: Each network, what it reads, and the names of the layers that are exported, or why not.
NETWORKS = {
    FlaxMnist: (MNIST, "conv1 conv2 fc1 fc2"),
    D2lLeNet: (MNIST, "conv1 conv2 fc1 fc2 fc3"),
    NnxMnist: (MNIST, "conv1 conv2 linear1 linear2"),
    Setup: (MNIST, "conv1 conv2 fc1 fc2"),
    Cifar: (COLOUR, "conv1 conv2 conv3 fc1"),
    Blocks: (MNIST, "conv1 conv2 fc1"),
    Mlp: ((784,), "fc1 fc2 fc3"),
    Keywords: (SPECTROGRAM, "conv1 conv2 conv3 conv4 conv5 fc1"),
    Binary: ((28, 28), "conv1 fc1"),
    Classic: (MNIST, "conv1 conv2 conv3 fc1 fc2"),
    FullyConvolutional: (MNIST, "conv1 conv2 conv3"),
    plain_function: (MNIST, "fc1 fc2 fc3"),
    per_image: ((1, 26, 26), "conv1 fc1 fc2"),
    haiku_style: (MNIST, "conv2_d conv2_d_1 linear"),
    Residual: (MNIST, "adds what two paths gave: a residual connection"),
    AlexNetLike: (MNIST, "conv1 pool1 conv2 pool2 pool2_2 fc1"),
}


def made(network, shape):
    """The network, its parameters (their statistics and biases drawn), and its own logits."""
    if not isinstance(network, type):
        function, params = network()
        own = function if params is None else partial(function, params)
        return function, params, own
    if issubclass(network, nnx.Module):
        graph, start = nnx.split(nnx.eval_shape(lambda: network(rngs=nnx.Rngs(0))))
        nnx.replace_by_pure_dict(start, drawn_like(nnx.to_pure_dict(start)))
        module = nnx.merge(graph, start)
        trained = nnx.clone(module)
        trained.eval()
        return module, None, trained
    module = network()
    rest = {"train": False} if network is Cifar else {}
    variables = drawn_for(module, shape, *rest.values())
    return module, variables, partial(module.apply, variables, **rest)


def images_of(shape, count=40):
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(np.uint8)


EXPORTED = [network for network, (_, told) in NETWORKS.items() if " a" not in told]


def test_nearly_all_of_them_are_exported():
    assert len(NETWORKS) == 16
    assert len(EXPORTED) == 15


#: Of these the C is compiled in the short run, too.
SHORT = {NnxMnist, Cifar, Binary, AlexNetLike}


@pytest.mark.parametrize("network", EXPORTED)
def test_it_is_read_with_its_own_names_and_logits(network):
    shape, names = NETWORKS[network]
    module, params, own = made(network, shape)
    images = images_of(shape)
    found = read(module, params, shape)
    assert " ".join(stage.name for stage in found.model.stages) == names
    theirs = jax.jit(own)(images.astype(np.float32) / (1 if network is haiku_style else 255))
    ours = float_network.run_logits(found.model, found.images(images))
    if network is Binary:
        ours = jax.nn.sigmoid(ours[:, 1])
    elif network in (Setup, per_image):
        ours = jax.nn.log_softmax(ours)
    elif network is Mlp:
        ours = jax.nn.softmax(ours)
    assert np.abs(ours - theirs).max() < 1e-4 * max(1, np.abs(theirs).max())
    said = {Binary: 2, Setup: 1, per_image: 1, Mlp: 1, haiku_style: 1}
    assert len(found.notes) == said.get(network, 0)


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=[pytest.mark.wide] * (n not in SHORT)) for n in EXPORTED],
)
def test_its_c_is_the_reference(network, tmp_path):
    shape, _ = NETWORKS[network]
    module, params, _ = made(network, shape)
    done = lenet_export.export(module, params, shape, tmp_path, images=images_of(shape))
    assert done.report.verified.largest_difference == 0
    assert done.report.verified.logits >= 2 * done.report.verified.images


@pytest.mark.parametrize("network", [n for n in NETWORKS if n not in EXPORTED])
def test_it_is_refused_by_name_with_its_place_and_a_remedy(network, tmp_path):
    shape, says = NETWORKS[network]
    module, params, _ = made(network, shape)
    with pytest.raises(UserError) as caught:
        lenet_export.export(module, params, shape, tmp_path / "out", images=images_of(shape))
    assert caught.value.what == says
    assert "behind Conv_0" in caught.value.where or "behind conv1" in caught.value.where
    assert "train again" in caught.value.remedy
    assert "test_networks.py, line" in caught.value.where
    assert not (tmp_path / "out").exists()


RNG = np.random.default_rng(4)
K = RNG.normal(0, 0.3, (3, 3, 2, 4)).astype("f4")
D = RNG.normal(0, 0.3, (600, 3)).astype("f4")
AXES = ("NHWC", "HWIO", "NHWC")


def conv(x, kernel=K, padding="SAME", **options):
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=AXES, **options)


def head(x):
    return x.reshape(len(x), -1) @ D[: x[0].size]


def colour_first(x):
    """Images and maps with the channels in front; what is flattened then is, too."""
    x = lax.conv_general_dilated(x, K.transpose(3, 2, 0, 1), (1, 1), "SAME")
    x = lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return head(x)


def windows_by_reshape(x):
    x = jax.nn.sigmoid(conv(x))
    return head(x.reshape(len(x), 5, 2, 4, 2, 4).mean((2, 4)))


def global_maximum(x):
    return head(jax.nn.tanh(conv(x[:, ::-1, :8])).max((1, 2)))


def dense_over_channels(x):
    x = jax.nn.relu(jnp.einsum("nijc,cd->nijd", x, K[0, 0]) + 0.1)
    return head(x)


def depthwise(x):
    """Of an image, whose scale differs by channel, and of twice as many channels."""
    x = conv(x * np.array([2.0, -1.0], "f4") + 0.1, K[:, :, :1], "VALID", feature_group_count=2)
    return head(2 * nn.leaky_relu(x + 0.1, 0.3))


def depthwise_behind_a_norm(x):
    x = jax.nn.relu(conv(x)) * D[:4, 1] + D[:4, 0]
    x = conv(x, RNG_K[:, :, :1, :4], "VALID", feature_group_count=4)
    return head(-jax.nn.relu(-x))


def groups(x):
    """Two groups of two channels each."""
    x = jax.nn.relu(conv(x, K, feature_group_count=2) + 0.1)
    return head(x)


def one_dimension(x):
    x = x.reshape(len(x), 80, 2)
    x = lax.conv_general_dilated(x, K[0], (2,), "SAME", None, None, ("NWC", "WIO", "NWC"))
    return head(jax.nn.relu(x))


def one_dimension_with_pools(x):
    x = x.reshape(len(x), 80, 2)
    x = lax.conv_general_dilated(x, K[0], (1,), "SAME", None, None, ("NWC", "WIO", "NWC"))
    x = nn.max_pool(jax.nn.relu(x), (3,), (2,))
    x = lax.conv_general_dilated(x, RNG_K[0], (1,), "VALID", None, None, ("NWC", "WIO", "NWC"))
    return head(nn.avg_pool(jax.nn.relu(x), (4,), (4,)))


def sampled_signal(x):
    """Channels in front, a pool over one column of the map."""
    x = lax.conv_general_dilated(x, K.transpose(3, 2, 0, 1)[..., 1:2], (1, 1), "SAME")
    x = lax.reduce_window(jnp.tanh(x), -jnp.inf, lax.max, (1, 1, 5, 1), (1, 1, 3, 1), "VALID")
    return head(x)


def overlapping(x):
    """A maximum in front of a norm and an activation, and a mean with a border behind one."""
    x = nn.max_pool(conv(x), (3, 3), (2, 2), "SAME") * np.abs(D[:4, 0]) + D[:4, 1]
    x = nn.avg_pool(jnp.tanh(x), (3, 2), (1, 2), "SAME")
    return head(x)


def mean_of_what_is_inside(x):
    return head(mean_of_inside(jax.nn.relu(conv(x))))


def mean_of_inside(x):
    return nn.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False)


def oblong(x):
    x = nn.max_pool(jax.nn.sigmoid(conv(x)), (2, 1), (2, 1))
    return head(nn.max_pool(jax.nn.relu(conv(x, RNG_K)), (1, 3), (1, 3)))


def oblong_strides(x):
    """More rows than columns with a border, then the other way round in front of a mean."""
    strided = partial(lax.conv_general_dilated, dimension_numbers=AXES)
    x = jax.nn.relu(strided(x, K, (2, 1), "SAME"))
    x = strided(x, RNG_K[:2], (1, 2), "VALID")
    return head(jnp.tanh(nn.avg_pool(x, (2, 2), (2, 2))))


def borders_in_numbers(x):
    """Of another framework's habit, of a signal, and larger than the kernel."""
    strided = partial(lax.conv_general_dilated, dimension_numbers=AXES)
    x = jax.nn.sigmoid(strided(2 * x - 1, K, (2, 2), ((1, 1), (1, 1))))
    x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    x = jnp.tanh(strided(x, RNG_K, (1, 1), ((2, 0), (4, 3))))
    return head(nn.avg_pool(x, (2, 3), (1, 2), ((1, 0), (0, 2))))


def one_column(x):
    """A map of one column, and pools with a border beside it."""
    x = lax.conv_general_dilated(x, K[:, 1:2], (1, 1), "SAME", dimension_numbers=AXES)
    x = nn.avg_pool(jnp.tanh(x), (3, 3), (1, 1), ((1, 1), (1, 1)))
    return head(nn.max_pool(x, (3, 2), (2, 2), "SAME"))


def maximum_of_a_large_map(x):
    """Of 448 numbers, behind a pool."""
    return head(nn.max_pool(jnp.tanh(conv(x)), (2, 2), (2, 2)).max((1, 2)))


def slope_of_one(x):
    return head(nn.leaky_relu(jnp.tanh(conv(x)), 1.0))


def separable(x):
    """Depthwise and 1x1 without an activation between, of a scaled image and in front of a mean."""
    x = conv(2 * x - 0.3, RNG_K[:, :, :1, :4], "VALID", feature_group_count=2) + D[:4, 0]
    x = jax.nn.relu(conv(x, RNG_K[:1, :1]) + D[:5, 1])
    x = conv(x, RNG_K[:, :, :1, [0, 1, 2, 3, 4]], feature_group_count=5) * D[:5, 1]
    return conv(x + D[:5, 2], D[:25].reshape(1, 1, 5, 15)).mean((1, 2))


def dense_without_activation(x):
    x = x.reshape(len(x), -1) @ D[: x[0].size] + D[0]
    return x @ D[:3] + D[1]


def oblong_mean(x):
    return head(jax.nn.relu(conv(x)).mean((1, 2)))


def two_pools(x):
    x = nn.max_pool(nn.avg_pool(jax.nn.relu(conv(x)), (2, 2), (2, 2)), (2, 2))
    return head(x)


def norm_by_hand(x):
    x = conv(x)
    centred = x - x.mean(-1, keepdims=True)
    x = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3) * D[:4, 0] + D[:4, 1]
    return head(jax.nn.relu(x))


def norm_of_a_tutorial(x):
    x = conv(x)
    x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3)
    return head(jax.nn.relu(x * D[:4, 0] + D[:4, 1]))


def small_logits(x):
    return 2e-5 * head(jax.nn.relu(conv(x)))


def whole_bytes(x):
    return head(jax.nn.relu(conv(x.astype(jnp.uint8).astype(jnp.float32) / 255)))


def norms_in_odd_places(x):
    x = nn.max_pool(
        jax.nn.relu(conv((x - 0.5) / np.array([0.4, 0.5], "f4"))) * 3 + D[:4, 1], (2, 2), (2, 2)
    )
    x = jax.nn.tanh((conv(x, RNG_K, "VALID") + 1) * D[:5, 2]) / D[:60, 0].reshape(3, 4, 5)[:, :2]
    return head(x) / 7


def norm_in_front_of_a_pool(x):
    x = jax.nn.tanh(conv(x, padding="VALID"))
    return head(nn.max_pool(x * np.abs(D[:4, 0]) + D[:4, 1], (3, 3), (3, 3)))


RNG_K = RNG.normal(0, 0.3, (3, 3, 4, 5)).astype("f4")

FORMS = {
    colour_first: ((2, 10, 8), "conv1:relu/max2 fc1:none/none1"),
    windows_by_reshape: ((10, 8, 2), "conv1:sigmoid/avg2 fc1:none/none1"),
    global_maximum: ((8, 8, 2), "conv1:tanh/max8 fc1:none/none1"),
    dense_over_channels: ((10, 8, 2), "conv1:relu/none1 fc1:none/none1"),
    depthwise: ((10, 8, 2), "conv1:leaky_relu(0.3)/none1 fc1:none/none1"),
    depthwise_behind_a_norm: ((10, 8, 2), "conv1:relu/none1 conv2:relu/none1 fc1:none/none1"),
    groups: ((10, 8, 4), "conv1:relu/none1 fc1:none/none1"),
    one_dimension: ((10, 16), "conv1:relu/none1 fc1:none/none1"),
    one_dimension_with_pools: (
        (10, 16),
        "conv1:relu/none1 pool1:none/max1 conv2:relu/none1 pool2:none/avg1 fc1:none/none1",
    ),
    sampled_signal: ((2, 80, 1), "conv1:tanh/none1 pool1:none/max1 fc1:none/none1"),
    overlapping: ((10, 8, 2), "conv1:tanh/none1 pool1:none/max1 pool1_2:none/avg1 fc1:none/none1"),
    mean_of_what_is_inside: ((10, 8, 2), "conv1:relu/none1 pool1:none/avg1 fc1:none/none1"),
    oblong: (
        (10, 8, 2),
        "conv1:sigmoid/none1 pool1:none/max1 conv2:relu/none1 pool2:none/max1 fc1:none/none1",
    ),
    oblong_strides: ((10, 8, 2), "conv1:relu/none1 conv2:tanh/none1 fc1:none/none1"),
    borders_in_numbers: (
        (10, 8, 2),
        "conv1:sigmoid/none1 pool1:none/max1 conv2:tanh/none1 pool2:none/avg1 fc1:none/none1",
    ),
    one_column: (
        (10, 1, 2),
        "conv1:tanh/none1 pool1:none/avg1 pool1_2:none/max1 fc1:none/none1",
    ),
    maximum_of_a_large_map: (
        (56, 32, 2),
        "conv1:tanh/max2 pool1_2:none/max1 pool1_3:none/max1 fc1:none/none1",
    ),
    slope_of_one: ((10, 8, 2), "conv1:tanh/none1 fc1:none/none1"),
    separable: ((10, 8, 2), "conv1:relu/none1 conv2:none/none1"),
    dense_without_activation: ((10, 8, 2), "fc1:none/none1"),
    oblong_mean: ((10, 8, 2), "conv1:relu/none1 pool1:none/avg1 fc1:none/none1"),
    two_pools: ((10, 8, 2), "conv1:relu/avg2 pool1_2:none/max1 fc1:none/none1"),
    norm_by_hand: ((10, 8, 2), "conv1:relu/none1 fc1:none/none1"),
    norm_of_a_tutorial: ((10, 8, 2), "conv1:relu/none1 fc1:none/none1"),
    small_logits: ((10, 8, 2), "conv1:relu/none1 fc1:none/none1"),
    whole_bytes: ((10, 8, 2), "conv1:relu/none1 fc1:none/none1"),
    norm_in_front_of_a_pool: ((11, 8, 2), "conv1:tanh/max3 fc1:none/none1"),
    norms_in_odd_places: ((10, 8, 2), "conv1:relu/max2 conv2:tanh/none1 fc1:none/none1"),
}


@pytest.mark.parametrize("function", FORMS)
def test_a_function_is_read_however_its_numbers_lie(function):
    shape, expected = FORMS[function]
    network = read(function, None, shape)
    stages = network.model.stages
    assert " ".join(f"{s.name}:{s.activation}/{s.pool}{s.pool_size}" for s in stages) == expected
    images = images_of(shape, 5)
    ours = float_network.run_logits(network.model, network.images(images))
    theirs = jax.jit(function)(images / np.float32(1 if function is whole_bytes else 255))
    assert np.abs(ours - theirs).max() < 1e-2 * np.abs(theirs).max()  # a border of a whole byte


def in_training(x):
    x = conv(x)
    return head(jax.nn.relu((x - x.mean((0, 1, 2))) / x.std((0, 1, 2))))


def recurrent(x):
    def step(state, row):
        return jnp.tanh(state + row), None

    return head(lax.scan(step, jnp.zeros_like(x[:, 0]), x.transpose(1, 0, 2, 3))[0])


def gated(x):
    x = jax.nn.relu(conv(x))
    return head(x * jax.nn.sigmoid(x.mean((1, 2)) @ D[:4, :1])[:, None, None])


def smallest(x):
    x = jax.nn.relu(conv(x))
    return head(lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"))


def pad(x, *border):
    return jnp.pad(x, (*border, *[(0, 0)] * (x.ndim - len(border))))


def sides(low=0, inner=0):
    """What ``lax.pad`` puts in front of rows and between columns; nothing elsewhere."""
    return [(0, 0, 0), (low, 0, 0), (0, 0, inner), (0, 0, 0)]


def random(key):
    return lambda x: head(jax.nn.relu(conv(x)) * jax.random.bernoulli(key(), 0.5, (10, 8, 4)))


def pool(x, start, function, **options):
    return head(
        lax.reduce_window(x, start, function, (1, 2, 2, 1), (1, 2, 2, 1), "VALID", **options)
    )


def units(count):
    return np.random.default_rng(5).normal(0, 0.3, (160, count)).astype("f4")


ONE, TEN, TABLE = units(1), units(10), jnp.asarray(units(2).ravel())
NONE, BORDER, MORE = (0, 0), (1, 1), (0, 1)

REFUSED = {
    lambda x: 2e-5 * head((jax.nn.relu(conv(x)) * 3).astype(int).astype("f4")): (
        "computes in int32",
        "leave it in float32",
    ),
    lambda x: head((jax.nn.relu(conv(x)) * 10).astype("u1").astype("f4")): ("in uint8", "float32"),
    lambda x: head(((x * 255).astype(int) > 127).astype("f4")): ("computes in int32", "float32"),
    lambda x: head(TABLE[(x * 255).astype(int)]): ("computes in int32", "float32"),
    lambda x: head(x.astype(int).astype("f4")): ("in whole numbers", "float32"),
    lambda x: head(x.astype(bool).astype("f4")): ("computes in bool", "float32"),
    lambda x: head((jax.nn.relu(conv(x)) > 0.5).astype("f4")): ("computes in bool", "float32"),
    random(lambda: KEY): ("draws random numbers, as dropout does", "as in inference"),
    random(lambda: jax.random.PRNGKey(0)): ("draws random numbers", "as in inference"),
    lambda x: pool(jax.nn.relu(conv(x)), 0.5, lax.max): (
        "begins with one that changes",
        "-jnp.inf",
    ),
    lambda x: pool(jax.nn.relu(conv(x)), 1.0, lambda a, b: a * b): ("a function of its own", ""),
    lambda x: head(lax.reduce(conv(x), 0.0, lambda a, b: a + b * b, (1, 2))): ("of its own", ""),
    lambda x: pool(jax.nn.relu(conv(x)), -np.inf, lax.max, base_dilation=(1, 2, 2, 1)): (
        "is a pool of what is put apart",
        "base_dilation",
    ),
    lambda x: head((y := conv(x)) * (y > 0.05)): ("does what no known function does", ""),
    lambda x: head(conv(pad(x, NONE, NONE, NONE, MORE), RNG_K[:, :, :3])): (
        "zeros that were put beside channels or images",
        "rows and columns alone",
    ),
    lambda x: head(conv(pad(x, MORE))): ("zeros that were put beside channels or images", ""),
    lambda x: head(conv(jax.nn.sigmoid(pad(conv(x), NONE, BORDER, BORDER)), RNG_K, "VALID")): (
        "is behind zeros that were put around",
        "behind its activation",
    ),
    lambda x: pool(pad(jax.nn.relu(conv(x)), NONE, BORDER, BORDER), -np.inf, lax.max): (
        "is behind zeros that were put around",
        "directly in front",
    ),
    lambda x: head(pad(x, NONE, BORDER, BORDER)): ("is behind zeros that were put around", ""),
    lambda x: head(conv(x.reshape(-1, 5, 8, 2))): ("reads several images at once, or parts", ""),
    lambda x: head(conv(x, np.ones((11, 3, 2, 4), "f4"), "VALID")): (
        "gives an empty map",
        "a smaller kernel",
    ),
    lambda x: jax.nn.softmax(x.reshape(-1, 160) @ ONE): ("is a softmax of 1 of 1 outputs", "leave"),
    lambda x: jax.nn.log_sigmoid(x.reshape(-1, 160) @ ONE): ("is a log_sigmoid of 1 of 1", "leave"),
    lambda x: jax.nn.softmax((x.reshape(-1, 160) @ TEN).reshape(-1, 2, 5)): (
        "is a softmax of 5 of 10 outputs, which does not keep the class",
        "over all logits",
    ),
    lambda x: head(lax.cond(x[0, 0, 0, 0] > 0.5, jax.nn.relu, jnp.tanh, conv(x))): (
        "chooses by the image what it computes",
        "chains",
    ),
    lambda x: head(jnp.roll(jax.nn.relu(conv(x)), 1, 1)): (
        "side by side, as split and roll do",
        "",
    ),
    lambda x: head(jnp.concatenate([y := jax.nn.relu(conv(x)), y], -1)[:, 1:]): (
        "side by side",
        "",
    ),
    lambda x: head(conv(jnp.pad(x, (NONE, BORDER, BORDER, NONE), "wrap"))): ("parts", "SAME"),
    in_training: ("takes images together, as BatchNorm does while it learns", "train=False"),
    recurrent: ("is a loop, as recurrent layers have", "supported: chains"),
    gated: ("multiplies what two paths gave", "leave the second path out"),
    smallest: ("is a pool of the minimum", "supported: mean and maximum"),
    lambda x: head(jnp.concatenate([conv(x, K[:, :, :, :1]), x], -1)): (
        "puts side by side",
        "chains",
    ),
    lambda x: jnp.argmax(head(x), -1): ("gives the class, and the C finds it", "the logits"),
    lambda x: head(x[:, jnp.array([0, 3, 5])]): ("takes a part of what it reads", "cut the images"),
    lambda x: head(jnp.take(jax.nn.relu(conv(x)), jnp.array([1, 2]), axis=1)): (
        "takes a part of what it reads",
        "let conv1 give no more than that",
    ),
    lambda x: head(jax.nn.relu(conv(x))[:, 2]): ("takes a part", "let conv1 give no more"),
    lambda x: head(x[:, 1:]): ("takes a part of what it reads", "cut the images"),
    lambda x: head(jax.nn.relu(conv(jax.nn.relu(conv(x))[:, ::-1, :, :2]))): ("takes a part", ""),
    lambda x: head(conv(jax.nn.relu(conv(x, K[..., :2]))[:, ::-1])): ("reads a map of", "chains"),
    lambda x: jnp.sin(head(x)): ("does what no known function does", "supported: convolutions"),
    lambda x: head(x).T: ("puts the logits in another order", "leave them"),
    lambda x: {"logits": head(x)}: ("gives dict, expected an array", "one array"),
    lambda x: jnp.zeros((len(x), 3)): ("gives the same for every image", "its argument"),
    lambda x: head(x) / len(x): ("computes something else for", "whatever their number"),
    lambda x: head(x).undefined: ("AttributeError", "own parameters"),
    lambda x: head(nn.max_pool(jax.nn.relu(conv(x)), (2, 2), (3, 3))): (
        "is a pool of 2x2 that moves on by 3x3, and leaves numbers out",
        "strides up to its window",
    ),
    lambda x: head(nn.max_pool(jax.nn.relu(conv(x)), (3, 3), (2, 2), ((1, 1), (3, 1)))): (
        "is a pool of 3x3 with a border of (1, 1) rows and (3, 1) columns",
        "take a border of less than its window",
    ),
    lambda x: head(nn.max_pool(jax.nn.relu(conv(x)), (2, 2), (2, 2), ((-1, 1), (0, 0)))): (
        "has a border of (-1, 1) rows and (0, 0) columns: a negative one cuts off",
        "none below 0",
    ),
    lambda x: head(conv(x, padding=((0, 0), (0, -2)))): (
        "has a border of (0, 0) rows and (0, -2) columns: a negative one cuts off",
        "none below 0",
    ),
    lambda x: head(conv(lax.pad(x, 0.0, sides(low=-1)))): (
        "takes a part of what",
        "cut the images",
    ),
    lambda x: head(conv(lax.pad(x, 0.0, sides(inner=1)))): (
        "puts numbers between those",
        "zeros around",
    ),
    lambda x: head(nn.avg_pool(jax.nn.relu(conv(x)) + 1, (3, 3), (2, 2), "SAME")): (
        "is a mean pool of what is moved from 0",
        "behind the pool, or in front of the activation",
    ),
    lambda x: head(nn.max_pool(-jax.nn.relu(conv(x)), (2, 2), (2, 2))): (
        "is a maximum pool of what is scaled by a negative number",
        "behind the pool, or in front of the activation",
    ),
    lambda x: head(conv(mean_of_inside(jax.nn.relu(conv(x))), RNG_K)): (
        "divided by other numbers at the border, as with count_include_pad=False",
        "leave that out, or take padding='VALID' in the pool",
    ),
    lambda x: head(nn.max_pool(mean_of_inside(jax.nn.relu(conv(x))), (2, 2))): (
        "count_include_pad=False",
        "padding='VALID' in the pool",
    ),
    lambda x: head(nn.max_pool(jax.nn.relu(conv(x)) * D[:8, :1], (2, 2))): (
        "reads what differs by its place in the map",
        "by numbers of the channels",
    ),
    lambda x: head(jnp.abs(conv(x))): ("is the absolute value", "nn.relu"),
    lambda x: head(jnp.tanh(nn.avg_pool(jax.nn.relu(conv(x)), (2, 2)))): (
        "is a second activation behind conv1",
        "leave one of them out",
    ),
    lambda x: head(jnp.tanh(nn.avg_pool(conv(x), (2, 2)))): (
        "is an activation behind the mean pool of conv1",
        "in front of the pool",
    ),
    lambda x: pool(jax.nn.relu(conv(x)), -np.inf, lax.max, window_dilation=(1, 2, 2, 1)): (
        "is a pool of what lies apart",
        "window_dilation",
    ),
    lambda x: head(jax.nn.relu(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) + 1)): (
        "is behind zeros that were put around",
        "directly in front",
    ),
    lambda x: head(jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=1)): (
        "is a border of 1",
        "put zeros around",
    ),
    lambda x: head(jax.nn.relu(conv(x.astype(jnp.bfloat16).astype("f4")))): (
        "computes in bfloat16",
        "dtype",
    ),
}


@pytest.mark.parametrize("function", REFUSED)
def test_a_function_that_is_no_chain_is_refused_by_what_it_does(function):
    what, remedy = REFUSED[function]
    with pytest.raises(UserError) as caught:
        read(function, None, (10, 8, 2))
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert "bug" not in caught.value.remedy


@pytest.mark.parametrize("pool", ["max", "avg", "mean"])
@pytest.mark.parametrize("norms", [1, 2])
def test_norms_between_an_activation_and_a_pool_go_into_the_dense_layer(pool, norms):
    def function(x):
        x = jax.nn.relu(conv(x))
        for at in range(norms):
            x = x * (np.abs(D[at : at + 4, 0]) + 0.1) + D[at : at + 4, 1]
        if pool == "mean":
            return head(x.mean((1, 2)))
        of = nn.max_pool if pool == "max" else nn.avg_pool
        return head(of(x, (2, 2), (2, 2)))

    images = images_of((10, 8, 2), 5)
    model = read(function, None, (10, 8, 2)).model
    theirs = jax.jit(function)(images / np.float32(255))
    ours = float_network.run_logits(model, images)
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


class Twice(nn.Module):
    """A layer of a user's name that is used twice, and one whose name is a number's."""

    def setup(self):
        self.fc2, self.last = nn.Dense(160), nn.Dense(3)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        return self.last(nn.relu(self.fc2(nn.relu(self.fc2(x)))))


class Flagged(nn.Module):
    """Whether it learns is an argument of no known name."""

    @nn.compact
    def __call__(self, x, is_train):
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=not is_train)(x.reshape(len(x), -1)))


def test_a_layer_that_is_used_twice_is_two():
    variables = drawn_for(Twice(), (10, 8, 2))
    stages = read(Twice(), variables, (10, 8, 2)).model.stages
    assert " ".join(stage.name for stage in stages) == "fc2 fc2_2 last"


def test_an_argument_that_a_module_needs_beside_images_is_told():
    variables = drawn_for(Flagged(), (10, 8, 2), False)
    with pytest.raises(UserError, match="Flagged: takes is_train beside the images") as caught:
        read(Flagged(), variables, (10, 8, 2))
    assert "lambda x: module.apply(variables, x, is_train=False)" in caught.value.remedy
    found = read(lambda x: Flagged().apply(variables, x, is_train=False), None, (10, 8, 2))
    assert [stage.name for stage in found.model.stages] == ["fc1"]


class FlaggedNnx(nnx.Module):
    """Its dropout is told by an argument, of one name or another."""

    def __init__(self, rngs):
        self.fc1 = nnx.Linear(160, 3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x, train):
        return self.fc1(self.dropout(x.reshape(len(x), -1), deterministic=not train))


class OtherFlag(FlaggedNnx):
    """Of no known name."""

    def __call__(self, x, mode):
        return super().__call__(x, mode == "train")


def test_an_argument_of_nnx_is_known_or_told():
    stages = read(FlaggedNnx(nnx.Rngs(0)), None, (10, 8, 2)).model.stages
    assert [stage.name for stage in stages] == ["fc1"]
    with pytest.raises(UserError, match="OtherFlag: takes mode beside the images") as caught:
        read(OtherFlag(nnx.Rngs(0)), None, (10, 8, 2))
    assert "lambda x: module(x, mode=False)" in caught.value.remedy


class Counting(nnx.Module):
    """Counts its calls, draws for its dropout, and has its logits in a method of another name."""

    def __init__(self, rngs):
        self.fc1 = nnx.Linear(160, 3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros(()))

    def forward(self, x):
        self.calls[...] += 1
        return self.fc1(self.dropout(x.reshape(len(x), -1)))


class Called(Counting):
    """The same, called as modules are."""

    def __call__(self, x, *, rngs=None):
        del rngs
        return self.forward(x)


def test_a_module_that_writes_to_itself_and_one_that_cannot_be_called():
    stages = read(Called(nnx.Rngs(0)), None, (10, 8, 2)).model.stages
    assert [stage.name for stage in stages] == ["fc1"]
    with pytest.raises(UserError, match="the module, Counting: has no __call__"):
        read(Counting(nnx.Rngs(0)), None, (10, 8, 2))


class AlwaysOn(nn.Module):
    """As some write it: dropout that no argument turns off."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.Dropout(0.5, deterministic=False)(x.reshape(len(x), -1)))


def test_the_apply_of_a_train_state_is_its_module():
    variables = AlwaysOn().init({"params": KEY, "dropout": KEY}, jnp.zeros((1, 10, 8, 2)))
    found = read(AlwaysOn().apply, variables, (10, 8, 2)).model
    assert np.array_equal(found.params["fc1/kernel"], variables["params"]["Dense_0"]["kernel"])


def test_a_class_and_a_bound_module():
    with pytest.raises(UserError, match="the module, Twice: is a class") as caught:
        read(Twice, None, (10, 8, 2))
    assert caught.value.remedy == "give a network of it: Twice(...)"
    variables = drawn_for(Twice(), (10, 8, 2))
    found, same = (read(*of, (10, 8, 2)).model.params for of in (
        (Twice().bind(variables), None), (Twice(), variables)
    ))  # fmt: skip
    assert all(np.array_equal(value, same[name]) for name, value in found.items())


def broken(_):
    raise RuntimeError("no weights")


def test_what_a_module_raises_is_told_with_its_line():
    line = broken.__code__.co_firstlineno + 1
    with pytest.raises(
        UserError, match=f"test_networks.py, line {line}: fails on an input"
    ) as told:
        read(broken, None, (10, 8, 2))
    assert "RuntimeError: no weights" in told.value.what


def test_parameters_beside_a_function_of_images_alone_are_told():
    with pytest.raises(UserError, match="params: are given with a function that takes images"):
        read(head, {"w": D}, (10, 8, 2))
    assert read(lambda w, x: x.reshape(len(x), -1) @ w["fc"], {"fc": D[:160]}, (10, 8, 2))


def test_sizes_in_numbers_of_numpy_are_those_of_python():
    class Net(nn.Module):
        whole: type

        @nn.compact
        def __call__(self, x):
            one, two, three = map(self.whole, (1, 2, 3))
            x = nn.Conv(two, (three, three), (two, two), [(one, one), (one, one)])(x)
            x = nn.max_pool(nn.relu(x), (three, three), (two, two), [(one, one), (one, one)])
            x = nn.avg_pool(nn.relu(nn.Conv(two, (one, one))(x)), (two, two), (two, two))
            return nn.Dense(three)(x.reshape(len(x), -1))

    params = Net(int).init(KEY, np.zeros((1, 16, 16, 1), np.float32))
    chains = [read(Net(of), params, (16, 16, 1)).model.stages for of in (int, np.int64)]
    assert repr(chains[0]) == repr(chains[1])
