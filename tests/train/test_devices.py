"""Several devices and processes train what one device trains."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from conftest import lenet_train, write_idx_folder
from lenet_export import checkpoint
from lenet_export.errors import UserError
from lenet_train import cli, devices, run

# AdamW divides a gradient by its own size: one that is 0 but for its rounding, which the number of
# devices changes, would move its weight as far as any other.
FIELDS = ["batch=32", "min_steps=1", "optimizer=sgd", "lr=0.1"]
SETTINGS = ["--arch", "mlp", "--epochs", "2", *(f"--set={field}" for field in FIELDS)]

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    folder = write_idx_folder(tmp_path_factory.mktemp("data") / "own")
    return ["--dataset", str(folder), *SETTINGS]


@pytest.fixture(scope="module")
def alone(arguments, tmp_path_factory):
    """What one device trains."""
    out = tmp_path_factory.mktemp("alone")
    assert cli.main([*arguments, "--out", str(out)]) == 0
    return checkpoint.load(out / run.MODEL)


def start(arguments, out, program="", **world):
    # Without the pictures, which take longer than the training.
    code = (
        "import sys; from lenet_train import cli, figures; figures.of_run = lambda *_: {}\n"
        f"{program}\nsys.exit(cli.main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--out", str(out)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | world,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def slurm(port, count, number):
    """What Slurm tells a process, as far as JAX asks."""
    return {
        "SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count),
        "SLURM_PROCID": str(number), "SLURM_LOCALID": str(number),
        "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip


def assert_equal(folder, alone):
    found = checkpoint.load(folder / run.MODEL)
    assert found.info["recipe"] == alone.info["recipe"]
    for name, value in alone.params.items():
        np.testing.assert_allclose(found.params[name], value, atol=1e-5, err_msg=name)
        assert np.any(found.params[name] != 0)


def test_four_devices_share_each_batch_and_train_what_one_does(arguments, alone, tmp_path):
    # Tells which share of a batch's images a device holds.
    program = """
import jax
from lenet_train import loop
step = loop.train_step
def watched(network, optimizer, recipe, state, images, *more):
    def tell(sharding): print(len(sharding.device_set), sharding.shard_shape(images.shape)[0])
    jax.debug.inspect_array_sharding(images, callback=tell)
    return step(network, optimizer, recipe, state, images, *more)
loop.train_step = watched
"""
    flags = os.environ.get("XLA_FLAGS"), "--xla_force_host_platform_device_count=4"
    with start(arguments, tmp_path, program, XLA_FLAGS=" ".join(filter(None, flags))) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert "s on 4 x cpu" in out
    assert out.startswith("4 8\n")
    assert_equal(tmp_path, alone)


def test_two_processes_share_each_batch_stop_together_and_the_first_alone_writes(
    arguments, alone, tmp_path
):
    # A cluster may stop any of its processes: here the second one, after a few steps.
    stop = """
import signal
from lenet_train import devices, loop
loop.CALL_SECONDS = 0
largest, calls = devices.largest, 0
def counted(number):
    global calls
    calls += 1
    if calls == 5 and not devices.is_first(): signal.raise_signal(signal.SIGTERM)
    return largest(number)
devices.largest = counted
"""
    folders = [tmp_path / "first", tmp_path / "second"]
    for program, code in ((stop, 128 + signal.SIGTERM), ("", 0)):
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        processes = [
            start([*arguments, "--distributed"], folder, program, **slurm(port, 2, number))
            for number, folder in enumerate(folders)
        ]
        told = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [code, code], told
        assert not folders[1].exists()
    (first, _), (second, _) = told
    assert "going on with epoch" in first and "test accuracy" in first
    assert "lenet" not in second
    assert_equal(folders[0], alone)


@pytest.mark.parametrize("error", [RuntimeError("no such backend\nand more"), AssertionError()])
def test_without_the_device_that_is_asked_for_the_remedy_is_told(
    error, idx_folder, tmp_path, monkeypatch, capsys
):
    def fail():
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", fail)
    assert cli.main(["--dataset", str(idx_folder), "--out", str(tmp_path / "run")]) == 1
    first, remedy = capsys.readouterr().err.splitlines()
    reason = ": no such backend" if str(error) else ""
    assert first == f"lenet-train: error: JAX_PLATFORMS=cuda: finds no such device{reason}"
    assert remedy.startswith("  unset JAX_PLATFORMS")
    assert not (tmp_path / "run").exists()


def test_a_platform_that_jax_does_not_have_is_told_as_a_mistake(idx_folder):
    done = lenet_train("--dataset", idx_folder, JAX_PLATFORMS="nonesuch")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "lenet-train: error: JAX_PLATFORMS=nonesuch: finds no such device"
    )
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    "kinds, name", [(["cpu"], "cpu"), (["NVIDIA H200"] * 2, "2 x NVIDIA H200")], ids=str
)
def test_the_devices_are_named(kinds, name):
    mesh = SimpleNamespace(devices=np.array([SimpleNamespace(device_kind=k) for k in kinds]))
    assert devices.name(mesh) == name


def test_where_no_cluster_is_the_remedy_is_told(arguments, tmp_path):
    with start([*arguments, "--distributed"], tmp_path / "run") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err.startswith("lenet-train: error: --distributed: cannot join a cluster: ")
    assert "leave --distributed out" in err.splitlines()[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batch, used", [(128, 4), (30, 2), (7, 1)])
def test_as_many_devices_of_a_machine_are_used_as_share_a_batch_evenly(batch, used, monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices() * 4)
    assert devices.mesh(batch).size == used


def test_processes_that_cannot_share_a_batch_are_told_which_they_could(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices() * 4)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert devices.mesh(32).size == 4
    with pytest.raises(UserError, match="30 images: cannot be shared evenly by 4") as caught:
        devices.mesh(30)
    assert caught.value.remedy == "give --set batch=32 --set min_steps=1"
