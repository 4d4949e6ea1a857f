"""What a network learned is read from the files and forms in which people keep it."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx, serialization
from flax.training.train_state import TrainState
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from lenet_export import UserError, cli, float_network
from lenet_export.readers.registry import read
from lenet_export.readers.source import network_in
from variables import drawn_for

SHAPE = (8, 8, 1)
SOURCE = """
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.BatchNorm(use_running_average=True)(nn.Conv(3, (3, 3), name="stem")(x))
        x = nn.max_pool(nn.sigmoid(x), (2, 2), strides=(2, 2))
        return nn.Dense(4, name="head")(x.reshape(len(x), -1))


class OfNnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(64, 5, rngs=rngs), nnx.Linear(5, 3, rngs=rngs)])

    def __call__(self, x):
        return self.layers[1](nnx.tanh(self.layers[0](x.reshape(len(x), -1))))


def broken():
    raise ValueError("no weights")


class Broken(nn.Module):
    setup_fails: int

    def __call__(self, x):
        return x
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "networks.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def network(source):
    module = network_in(f"{source}:Net")
    return module, jax.tree.map(jnp.asarray, drawn_for(module, SHAPE))


def orbax(variables, path):
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path / "ck", variables)
    return path / "ck"


def managed(variables, path):
    with ocp.CheckpointManager(path / "run") as manager:
        for step in (2, 10):
            manager.save(step, args=ocp.args.StandardSave(variables if step == 10 else {"a": 1}))
    return path / "run"


def msgpack(variables, path):
    (path / "net.msgpack").write_bytes(serialization.to_bytes(variables))
    return str(path / "net.msgpack")


def safetensors(separator, variables, path):
    flat = {name: np.asarray(v) for name, v in flatten_dict(variables, sep=separator).items()}
    save_file(flat, path / "net.safetensors")
    return path / "net.safetensors"


def train_state(variables, _):
    class State(TrainState):
        batch_stats: object

    params, statistics = variables["params"], variables["batch_stats"]
    return State.create(apply_fn=None, params=params, tx=optax.adam(0.1), batch_stats=statistics)


KEPT = {
    "orbax": orbax,
    "orbax's manager": managed,
    "msgpack": msgpack,
    "bytes": lambda variables, _: serialization.to_bytes(variables),
    "safetensors, /": lambda *given: safetensors("/", *given),
    "safetensors, .": lambda *given: safetensors(".", *given),
    "flat": lambda variables, _: flatten_dict(variables, sep="."),
    "flat within params": lambda variables, _: {
        kind: flatten_dict(of_layers, sep="/") for kind, of_layers in variables.items()
    },
    "train state": train_state,
    "its dictionary": lambda *given: serialization.to_state_dict(train_state(*given)),
}


@pytest.mark.parametrize("kept", KEPT)
def test_parameters_are_the_same_however_they_are_kept(kept, network, tmp_path):
    module, variables = network
    expected = read(module, variables, SHAPE).model
    found = read(module, KEPT[kept](variables, tmp_path), SHAPE).model
    assert [stage.name for stage in found.stages] == ["stem", "head"]
    assert found.params.keys() == expected.params.keys()
    for name, value in expected.params.items():
        assert np.array_equal(found.params[name], value)


def test_a_module_of_nnx_takes_its_own_state_and_dictionaries(source, tmp_path):
    module, other = network_in(f"{source}:OfNnx"), network_in(f"{source}:OfNnx")
    nnx.update(other, jax.tree.map(lambda v: v + 0.25, nnx.state(other)))
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
    theirs = other(images.astype(np.float32) / 255)
    pure = nnx.to_pure_dict(nnx.state(other))
    for given in (nnx.state(other), pure, safetensors("/", _text_keys(pure), tmp_path)):
        model = read(module, given, SHAPE).model
        assert np.abs(float_network.run_logits(model, images) - theirs).max() < 1e-5
    with pytest.raises(
        UserError, match=r"params: are not those of the network: 1 differ"
    ) as caught:
        read(module, {"layers": {0: pure["layers"][0], 1: {"kernel": np.ones((5, 3))}}}, SHAPE)
    assert "layers/1/bias: expected (3,), found -" in caught.value.remedy


def _text_keys(tree):
    return {str(k): _text_keys(v) if isinstance(v, dict) else v for k, v in tree.items()}


def test_parameters_of_another_network_are_told_side_by_side(network):
    module, variables = network
    renamed = {"params": {"conv": variables["params"]["stem"], "head": {"kernel": np.ones((9, 4))}}}
    with pytest.raises(UserError) as caught:
        read(module, renamed, SHAPE)
    for line in (
        "params/stem/kernel: expected (3, 3, 1, 3), found -",
        "params/conv/kernel: expected -, found (3, 3, 1, 3)",
        "params/head/kernel: expected (48, 4), found (9, 4)",
        "batch_stats/BatchNorm_0/mean: expected (3,), found -",
    ):
        assert line in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("none", None, "does not exist"),
        ("folder", "folder", "is no checkpoint of Orbax"),
        ("x.safetensors", b"abc", "is not a whole safetensors file"),
        ("x.msgpack", b"\xc1\xff", "is not written by flax.serialization"),
        ("x.msgpack", serialization.msgpack_serialize([1]), "holds a list"),
    ],
)
def test_a_file_that_holds_none_is_told(name, data, says, network, tmp_path):
    path = tmp_path / name
    if data == "folder":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read(network[0], path, SHAPE)
    assert str(path) in str(caught.value.where)
    assert says in caught.value.what


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Net", "names no Python file"),
        ("networks.txt:Net", "names no Python file"),
        ("{}:Nothing", "networks.py has no Nothing"),
        ("{}:Broken", "raises TypeError"),
    ],
)
def test_a_network_that_cannot_be_had_is_told(text, says, source):
    with pytest.raises(UserError) as caught:
        network_in(text.format(source))
    assert says in caught.value.what
    assert caught.value.remedy


def test_the_command_line_exports_a_network_of_a_file(source, network, tmp_path, monkeypatch):
    weights = safetensors("/", network[1], tmp_path)
    command = [sys.executable, "-m", "lenet_export", "--out", tmp_path / "out", "--no-verify"]
    command += ["--model", weights, "--input-shape", "8x8x1", "--input-mean", "0.5"]
    done = subprocess.run(
        [*command, "--network", f"{source}:Net"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"model     {source}:Net, int8, id " in done.stdout
    assert "here the byte 128" in done.stdout
    assert "head_bias" in (tmp_path / "out/lenet.c").read_text()
    monkeypatch.chdir(tmp_path)
    stamp = json.loads((tmp_path / "out/lenet.json").read_text())["command"]
    assert stamp.startswith("lenet-export --target c --network networks.py:Net --model net.safet")
    assert cli.main([*stamp.split()[1:], "--no-verify", "--out", "again"]) == 0
    for name in ("lenet.h", "lenet.c", "lenet.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    refused = subprocess.run(
        [*command[:-2], "--input-std", "2"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "goes with --network only" in refused.stderr


def test_the_command_line_names_its_own_options(source, network, tmp_path, capsys):
    source.write_text(SOURCE.replace("nn.sigmoid", "nn.relu"))
    weights = safetensors("/", network[1], tmp_path)
    command = ["--network", f"{source}:Net", "--no-verify", "--out", str(tmp_path / "out")]
    of_model = ["--model", str(weights), "--input-shape", "8x8x1"]
    for more, where, remedy in (
        (of_model, "--images: are needed for the range of relu in int8", "--dtype float32"),
        ([*of_model, "--max-error", "0.1"], "--max-error 0.1: is chosen by", "give them"),
        ([*of_model, "--input-std", "0"], "--input-std: is 0.0", "give a number"),
        (["--model", str(weights)], f"--model {weights}: are not those of", "expected (588, 4)"),
        ([], f"--network {source}:Net: is a class, and has learned nothing", "--model"),
    ):
        assert cli.main([*command, *more]) == 1
        what, _, rest = capsys.readouterr().err.partition("\n")
        assert what.startswith(f"lenet-export: error: {where}")
        assert remedy in rest
    assert not (tmp_path / "out").exists()


def test_a_network_that_holds_its_parameters_needs_no_model(tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "import numpy as np\n\n\ndef net(x):\n    return x.reshape(len(x), -1) @ np.eye(784, 3)\n"
    )
    command = ["--network", f"{tmp_path}/net.py:net", "--no-verify", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    assert "net.py:net, int8" in capsys.readouterr().out
    stamp = json.loads((tmp_path / "lenet.json").read_text())["command"]
    assert stamp == "lenet-export --target c --network net.py:net"
