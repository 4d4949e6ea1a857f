"""The training loop: one compiled scan an epoch, with data, shuffle and augmentation inside."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, path_aware_map

from lenet_export.checkpoint import Float32, Stage
from lenet_train.augment import augment
from lenet_train.data import Examples
from lenet_train.model import INPUT_SHAPE
from lenet_train.recipes import Recipe

Params = dict[str, Any]

EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Epoch:
    """A line of ``metrics.jsonl``.

    Attributes:
        epoch: from 1.
        loss: mean cross-entropy over the epoch's batches, each before its own step.
        train_accuracy: the same of the accuracy: on augmented images, of the network as it learns.
        validation_accuracy: of the network that would be saved now.
        seconds: wall clock, the first one with compilation.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float


class State(NamedTuple):
    """What passes from step to step.

    Attributes:
        params: the parameters that learn.
        mean: their running mean, without bias to the start: the network that is measured and saved.
        optimizer: the optimizer's own state.
        running_mean: the running mean's own state.
    """

    params: Params
    mean: Params
    optimizer: optax.OptState
    running_mean: optax.OptState


def train(
    network: nn.Module,
    stages: tuple[Stage, ...],
    recipe: Recipe,
    seed: int,
    training: Examples,
    validation: Examples,
    report: Callable[[Epoch], None],
) -> Params:
    """Trains ``network`` and returns its parameters; calls ``report`` after each epoch."""
    start_key, epochs_key = jax.random.split(jax.random.key(seed))
    params = start(network, stages, recipe, start_key)
    batch = recipe.batch_size(len(training.labels))
    optimizer = make_optimizer(recipe, len(training.labels) // batch)
    mean = optax.ema(recipe.ema)
    state = State(params, params, optimizer.init(params), mean.init(params))
    run = jax.jit(functools.partial(run_epoch, network, optimizer, mean, recipe, batch))
    images, labels = jnp.asarray(training.images), jnp.asarray(training.labels)
    for epoch in range(1, recipe.epochs + 1):
        began = time.perf_counter()
        state, (loss, right) = run(state, images, labels, jax.random.fold_in(epochs_key, epoch))
        guess = logits(network, state.mean, validation.images).argmax(axis=1)
        report(
            Epoch(
                epoch,
                float(loss),
                float(right),
                float((guess == validation.labels).mean()),
                round(time.perf_counter() - began, 3),
            )
        )
    return state.mean


def start(network: nn.Module, stages: tuple[Stage, ...], recipe: Recipe, key: jax.Array) -> Params:
    """The parameters before the first step."""
    params: Params = jax.jit(network.init)(key, jnp.zeros((1, *INPUT_SHAPE)))["params"]
    for stage in stages:
        if stage.activation == "sigmoid":
            params[stage.name]["kernel"] *= recipe.sigmoid_gain
    return params


def make_optimizer(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """The recipe's optimizer for epochs of ``steps`` steps."""
    rate: Any = recipe.learning_rate
    if recipe.final_rate != 1:
        warmup = min(recipe.warmup_epochs, recipe.epochs - 1) * steps
        rate = optax.warmup_cosine_decay_schedule(
            init_value=rate / max(warmup, 1),
            peak_value=rate,
            warmup_steps=warmup,
            decay_steps=recipe.epochs * steps,
            end_value=rate * recipe.final_rate,
        )
    if recipe.optimizer == "sgd":
        return optax.sgd(rate)
    return optax.adamw(rate, weight_decay=recipe.weight_decay, mask=_kernels)


def _kernels(params: Params) -> Params:
    """Which parameters decay: the kernels."""
    return path_aware_map(lambda path, _: path[-1] == "kernel", params)


def run_epoch(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    running_mean: optax.GradientTransformation,
    recipe: Recipe,
    batch: int,
    state: State,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
) -> tuple[State, tuple[jax.Array, jax.Array]]:
    """One pass over ``images`` uint8 ``(n, 28, 28)`` in random order, in whole batches.

    Returns:
        The new state, and the mean loss and accuracy of the batches.
    """
    shuffle_key, augment_key = jax.random.split(key)
    steps = len(labels) // batch
    order = jax.random.permutation(shuffle_key, len(labels))[: steps * batch].reshape(steps, batch)

    def step(
        state: State, at: tuple[jax.Array, jax.Array]
    ) -> tuple[State, tuple[jax.Array, jax.Array]]:
        chosen, step_key = at
        x, y = to_input(images[chosen]), labels[chosen]
        if recipe.augmentation:
            x = augment(step_key, x, recipe.augmentation)

        def loss_of(params: Params) -> tuple[jax.Array, jax.Array]:
            z = network.apply({"params": params}, x)
            return cross_entropy(z, y).mean(), is_right(z, y).mean()

        (loss, right), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        mean, mean_state = running_mean.update(params, state.running_mean)
        return State(params, mean, optimizer_state, mean_state), (loss, right)

    keys = jax.random.split(augment_key, steps)
    state, (loss, right) = jax.lax.scan(step, state, (order, keys))
    return state, (loss.mean(), right.mean())


def cross_entropy(z: jax.Array, labels: jax.Array) -> jax.Array:
    """Of logits ``(n, classes)`` and labels ``(n,)``, or probabilities ``(n, classes)``: ``(n,)``."""
    if labels.ndim == 2:
        return optax.softmax_cross_entropy(z, labels)
    return optax.softmax_cross_entropy_with_integer_labels(z, labels)


def is_right(z: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest logit is the label's, or that of the largest probability: ``(n,)``."""
    return z.argmax(axis=1) == (labels.argmax(axis=1) if labels.ndim == 2 else labels)


def to_input(images: jax.Array) -> jax.Array:
    """The network's input, float32 ``(n, 28, 28, 1)``, of image bytes ``(n, 28, 28)``."""
    return images[..., None].astype(jnp.float32) / 255


def logits(network: nn.Module, params: Params, images: Any) -> Float32:
    """The logits float32 ``(n, 10)`` of ``images`` uint8 ``(n, 28, 28)``."""
    parts = [
        _forward(network, params, images[i : i + EVALUATION_BATCH])
        for i in range(0, len(images), EVALUATION_BATCH)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


@functools.partial(jax.jit, static_argnums=0)
def _forward(network: nn.Module, params: Params, images: jax.Array) -> jax.Array:
    z: jax.Array = network.apply({"params": params}, to_input(images))
    return z


def activation_ranges(
    network: nn.Module, stages: tuple[Stage, ...], params: Params, images: Any
) -> dict[str, float]:
    """The largest activation to represent of each hidden layer.

    Sigmoid never exceeds 1. Of ReLU it is the 99.99th percentile over ``images`` uint8
    ``(n, 28, 28)``: the few activations above it would cost the others their resolution.
    """
    unknown = {stage.activation for stage in stages[:-1]} - {"sigmoid", "relu"}
    if unknown:
        raise ValueError(f"the range of {unknown} is not known")
    ranges = {stage.name: 1.0 for stage in stages[:-1]}
    relus = [stage.name for stage in stages if stage.activation == "relu"]
    if not relus:
        return ranges
    x = to_input(jnp.asarray(images))
    _, seen = network.apply({"params": params}, x, capture_intermediates=True)
    for name in relus:
        (before,) = seen["intermediates"][name]["__call__"]
        ranges[name] = float(np.percentile(np.maximum(np.asarray(before), 0), 99.99))
    return ranges


def flat(params: Params) -> dict[str, Float32]:
    """The parameters as the checkpoint names them: ``conv1/kernel`` and so on."""
    return {name: np.asarray(value) for name, value in flatten_dict(params, sep="/").items()}
