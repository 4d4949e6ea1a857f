"""Several devices and hosts, by JAX's own means: a mesh over the batch, one program on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from lenet_export.errors import UserError

T = TypeVar("T")

#: The mesh's only axis: the images of a batch.
AXIS = "batch"


def join_cluster() -> None:
    """Joins the processes that a cluster started: Slurm, Open MPI, Kubernetes, Cloud TPU and so on.

    Raises:
        UserError: there is no cluster, or it does not answer.
    """
    # Where the devices are CPUs; others bring their own way to talk to each other.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            "--distributed",
            f"cannot join a cluster: {str(error).splitlines()[0]}",
            "start it by the cluster's own command (srun, mpirun, ...), or leave --distributed out",
        ) from None


def name(mesh: Mesh) -> str:
    """What a training runs on: ``cpu``, ``2 x NVIDIA H200``."""
    kinds = Counter(device.device_kind for device in mesh.devices.flat)
    return ", ".join(f"{n} x {kind}" if n > 1 else kind for kind, n in kinds.items())


def is_first() -> bool:
    """Whether this is the process that writes files and speaks to the user."""
    return jax.process_index() == 0


def mesh(batch: int) -> Mesh:
    """The devices that share each ``batch``: as many as can do so evenly.

    Raises:
        UserError: that would leave out devices of several processes, and so whole processes.
    """
    everything = jax.devices()
    used = math.gcd(batch, len(everything))
    if jax.process_count() > 1 and used < len(everything):
        raise UserError(
            f"a batch of {batch} images",
            f"cannot be shared evenly by {len(everything)} devices",
            f"give --set batch={math.ceil(batch / len(everything)) * len(everything)} --set "
            "min_steps=1",
        )
    return Mesh(np.array(everything[:used]), (AXIS,))


def broadcast(number: int) -> int:
    """The first process's ``number``, in all processes."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def largest(number: int) -> int:
    """The largest of all processes' ``number``, in all of them."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int32(number)).max())


def first_does(task: Callable[[], T]) -> T | None:
    """Has the first process do ``task``; the others wait, and return ``None``.

    Raises:
        UserError: from ``task``, in all processes.
    """
    result, mistake = None, None
    if is_first():
        try:
            result = task()
        except UserError as error:
            mistake = error
    if largest(mistake is not None):
        raise mistake or UserError("the first process", "could not go on", "see what it says")
    return result
