"""The training loop: many steps a call, with data, shuffle and augmentation inside."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import path_aware_map
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lenet_export.checkpoint import Float32, Stage
from lenet_export.errors import UserError
from lenet_train import devices
from lenet_train.augment import augment
from lenet_train.data import Examples
from lenet_train.recipes import Recipe

Params = dict[str, Any]

#: Flax's collections: ``params``, and where a network has some, others such as ``batch_stats``.
Variables = dict[str, Any]

EVALUATION_BATCH = 1000

#: How long the steps of one call take: whoever waits for a step's end waits no longer. A call costs
#: about 1 ms.
CALL_SECONDS = 0.4


@dataclass(frozen=True)
class Epoch:
    """A line of ``metrics.jsonl``.

    Attributes:
        epoch: from 1.
        loss: mean cross-entropy over the epoch's batches, each before its own step.
        train_accuracy: the same of the accuracy: on augmented images, of the network as it learns.
        validation_accuracy: of the network that would be saved now.
        seconds: wall clock of the training, the first one with compilation.
        device: what it was trained on, as :func:`lenet_train.devices.name` calls it.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float
    device: str = ""


class State(NamedTuple):
    """What passes from step to step, all of it.

    Attributes:
        variables: of the network that learns.
        mean: their running mean, without bias to the start: the network that is measured and saved.
        optimizer: the optimizer's own state.
        running_mean: the running mean's own state.
        loss: sum of the losses of this epoch's batches.
        right: how many images of this epoch's batches were classified rightly.
    """

    variables: Variables
    mean: Variables
    optimizer: optax.OptState
    running_mean: optax.OptState
    loss: Any
    right: Any


@dataclass(frozen=True)
class Progress:
    """How far a run is: enough to go on from here as if nothing had happened.

    Attributes:
        step: steps done since the start of the run.
        state: after them.
        epochs: that are over.
        seconds: of training in the epoch that is not over.
    """

    step: int
    state: State
    epochs: tuple[Epoch, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Training:
    """A training run: what it depends on, and nothing else.

    Attributes:
        network: a Flax module: images to logits. One with variables that are not trained, such as
            ``batch_stats``, takes ``train=True`` when it learns.
        stages: the chain that it computes.
        recipe: how to train.
        seed: of all random numbers.
        training: what to learn from.
        validation: what each epoch is measured on.
        begun: variables to begin with; those that are missing are what the network begins with.
    """

    network: nn.Module
    stages: tuple[Stage, ...]
    recipe: Recipe
    seed: int
    training: Examples
    validation: Examples
    begun: Variables | None = None

    @property
    def batch(self) -> int:
        """Images a step."""
        return self.recipe.batch_size(len(self.training.labels))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self.training.labels) // self.batch

    def begin(self) -> Progress:
        """The run before its first step."""
        # Run once: compiling it any better takes seconds, and saves none.
        compiler_options = {"xla_backend_optimization_level": 0}
        return Progress(0, jax.jit(self._begin, compiler_options=compiler_options)())

    def _begin(self) -> State:
        start_key, _ = jax.random.split(jax.random.key(self.seed))
        shape = (*self.training.images.shape[1:], 1)
        variables = initial_variables(self.network, self.stages, self.recipe, start_key, shape)
        variables |= self.begun or {}
        return State(
            variables=variables,
            mean=variables,
            optimizer=make_optimizer(self.recipe, self.steps).init(variables["params"]),
            running_mean=optax.ema(self.recipe.ema).init(variables),
            loss=jnp.zeros((), jnp.float32),
            right=jnp.zeros((), jnp.int32),
        )

    def run(self, progress: Progress) -> Iterator[Progress]:
        """Trains from ``progress`` to the end; yields a few times a second, between two steps.

        What comes out does not depend on where it was yielded, or begun again: the numbers are
        those of a run in one go.

        Raises:
            UserError: the devices of several processes cannot share a batch evenly, or the loss is
                no number any more.
        """
        mesh = devices.mesh(self.batch)
        replicated = NamedSharding(mesh, PartitionSpec())
        optimizer = make_optimizer(self.recipe, self.steps)
        step = functools.partial(train_step, self.network, optimizer, self.recipe)
        run_steps = jax.jit(functools.partial(_run_steps, step, mesh), out_shardings=replicated)
        shuffle = jax.jit(self._shuffle, out_shardings=replicated)
        images, labels, state = jax.device_put(
            (self.training.images, self.training.labels, jax.device_get(progress.state)), replicated
        )
        at, epochs, spent = progress.step, progress.epochs, progress.seconds
        count, compiled = 1, False
        while len(epochs) < self.recipe.epochs:
            began = time.perf_counter()
            first = at - len(epochs) * self.steps
            if first == 0 or not compiled:
                order, keys = shuffle(self.seed, len(epochs) + 1)
            last = min(first + count, self.steps)
            state = jax.block_until_ready(
                run_steps(state, images, labels, order, keys, first, last)
            )
            seconds = time.perf_counter() - began
            if compiled:
                count = devices.broadcast(max(1, round((last - first) * CALL_SECONDS / seconds)))
            compiled = True
            at += last - first
            if last == self.steps:
                mean = jax.device_get(state.mean)
                guesses = logits(self.network, mean, self.validation.images).argmax(axis=1)
                accuracy = float((guesses == self.validation.labels).mean())
                loss = float(state.loss) / self.steps
                right = int(state.right) / (self.steps * self.batch)
                if not math.isfinite(loss):
                    raise UserError(
                        f"epoch {len(epochs) + 1}",
                        f"the training diverged: its loss is {loss}",
                        "train again with a lower learning rate: --anew --set lr=...",
                    )
                spent += time.perf_counter() - began
                number, spent = len(epochs) + 1, round(spent, 3)
                epochs += (Epoch(number, loss, right, accuracy, spent, devices.name(mesh)),)
                spent = 0.0
            else:
                spent += seconds
            yield Progress(at, state, epochs, spent)

    def _shuffle(self, seed: jax.Array, epoch: jax.Array) -> tuple[jax.Array, jax.Array]:
        """An epoch's batches, as places in the training images, and a key for each of them."""
        _, epochs_key = jax.random.split(jax.random.key(seed))
        shuffle_key, augment_key = jax.random.split(jax.random.fold_in(epochs_key, epoch))
        order = jax.random.permutation(shuffle_key, len(self.training.labels))
        order = order[: self.steps * self.batch].reshape(self.steps, self.batch)
        return order, jax.random.split(augment_key, self.steps)


def initial_variables(
    network: nn.Module,
    stages: tuple[Stage, ...],
    recipe: Recipe,
    key: jax.Array,
    shape: tuple[int, ...],
) -> Variables:
    """The variables before the first step, for images of ``shape``."""
    variables = dict(network.init(key, jnp.zeros((1, *shape))))
    before = ""
    for stage in stages:
        layer = variables["params"][stage.name]
        if stage.activation == "sigmoid":
            layer["kernel"] *= recipe.sigmoid_gain
            if before == "sigmoid":
                inputs = tuple(range(layer["kernel"].ndim - 1))
                layer["bias"] -= recipe.sigmoid_mean * layer["kernel"].sum(inputs)
        before = stage.activation
    return variables


def make_optimizer(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """The recipe's optimizer for epochs of ``steps`` steps."""
    rate: Any = recipe.lr
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
    return dict(path_aware_map(lambda path, _: path[-1] == "kernel", params))


def train_step(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    recipe: Recipe,
    state: State,
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array,
) -> State:
    """One step on ``images`` uint8 ``(batch, rows, columns)`` and ``labels`` uint8 ``(batch,)``."""
    x = to_input(images)
    if recipe.augmentation:
        x = augment(key, x, recipe.augmentation)
    params = state.variables["params"]
    others = {name: value for name, value in state.variables.items() if name != "params"}
    mode: dict[str, Any] = {"train": True} if others else {}

    def loss_of(params: Params) -> tuple[jax.Array, tuple[jax.Array, Variables]]:
        z, changed = network.apply({"params": params, **others}, x, mutable=list(others), **mode)
        return cross_entropy(z, labels).mean(), (is_right(z, labels).sum(), dict(changed))

    (loss, (right, changed)), gradient = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, optimizer_state = optimizer.update(gradient, state.optimizer, params)
    variables = {"params": optax.apply_updates(params, updates), **changed}
    mean, mean_state = optax.ema(recipe.ema).update(variables, state.running_mean)
    return State(
        variables, mean, optimizer_state, mean_state, state.loss + loss, state.right + right
    )


def _run_steps(
    step: Callable[..., State],
    mesh: Mesh,
    state: State,
    images: jax.Array,
    labels: jax.Array,
    order: jax.Array,
    keys: jax.Array,
    first: jax.Array,
    last: jax.Array,
) -> State:
    """The steps ``first`` to ``last`` - 1 of an epoch, each batch split among the mesh's devices.

    The bounds are no part of what is compiled: any number of steps is the same program.
    """
    batches = NamedSharding(mesh, PartitionSpec(devices.AXIS))

    def one(i: jax.Array, state: State) -> State:
        chosen = jax.lax.with_sharding_constraint(order[i], batches)
        return step(state, images[chosen], labels[chosen], keys[i])

    fresh = first == 0
    state = state._replace(
        loss=jnp.where(fresh, 0, state.loss), right=jnp.where(fresh, 0, state.right)
    )
    done: State = jax.lax.fori_loop(first, last, one, state)
    return done


def cross_entropy(z: jax.Array, labels: jax.Array) -> jax.Array:
    """Of logits ``(n, classes)`` and labels, or probabilities ``(n, classes)``: ``(n,)``."""
    loss: Callable[[jax.Array, jax.Array], jax.Array] = (
        optax.softmax_cross_entropy
        if labels.ndim == 2
        else optax.softmax_cross_entropy_with_integer_labels
    )
    return loss(z, labels)


def is_right(z: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest logit is the label's, or that of the largest probability: ``(n,)``."""
    return z.argmax(axis=1) == (labels.argmax(axis=1) if labels.ndim == 2 else labels)


def to_input(images: jax.Array) -> jax.Array:
    """The network's input, float32 ``(n, rows, columns, 1)``, of bytes ``(n, rows, columns)``."""
    return images[..., None].astype(jnp.float32) / 255


def logits(network: nn.Module, variables: Variables, images: Any) -> Float32:
    """The logits float32 ``(n, outputs)`` of ``images`` uint8 ``(n, rows, columns)``."""
    parts = [
        _forward(network, variables, images[i : i + EVALUATION_BATCH])
        for i in range(0, len(images), EVALUATION_BATCH)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


@functools.partial(jax.jit, static_argnums=0)
def _forward(network: nn.Module, variables: Variables, images: jax.Array) -> jax.Array:
    z = network.apply(variables, to_input(images))
    assert isinstance(z, jax.Array)
    return z
