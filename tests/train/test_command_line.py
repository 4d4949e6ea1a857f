"""lenet-train's arguments: what is wrong is told before any work."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.image
import pytest

from lenet_train import cli, run


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seed", "-1"], ["--seed", str(2**32)], ["--seed", ""], ["--arch", "resnet"],
        ["--recipe", "worst"], ["--unknown"], ["--activation", "swish"], ["--channels", "6,x"],
        ["--kernels", "0"], ["--arch", "mlp", "--pool", "max"],
        ["--arch", "lenet5-1998", "--channels", "6,16"], ["--dense", "84,"],
        ["--dense", "84", "--head", "gap"], ["--dense", "none", "--head", "gap"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_argument_exits_with_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: lenet-train")
    assert not list(tmp_path.iterdir())


def test_nothing_that_a_terminal_obeys_is_in_a_message(capsys):
    with pytest.raises(SystemExit):
        cli.main(["\x1b[31m"])
    told = capsys.readouterr().err
    assert r"unrecognized arguments: \x1b[31m" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_written_is_told_before_training(
    place, tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(run, "_train", lambda *_: pytest.fail("the training started"))
    assert cli.main(["--dataset", "digits", "--out", str(tmp_path / place)]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"lenet-train: error: {tmp_path / place}: ")
    assert "--out" in message.splitlines()[1]


def test_a_folder_in_a_file_s_place_is_told_before_training(tmp_path, capsys, monkeypatch):
    (tmp_path / run.MODEL).mkdir()
    monkeypatch.setattr(run, "_train", lambda *_: pytest.fail("the training started"))
    assert cli.main(["--dataset", "digits", "--out", str(tmp_path)]) == 1
    assert f"{run.MODEL}: is a folder, expected a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--channels 4,8,9 --kernels 5,5", "--channels 4,8,9: does not go with --kernels 5,5"),
        ("--kernels 5,15", "--channels 6,16 --kernels 5,15: conv2 does not fit its input, 14x14"),
        ("--channels 4 --kernels 3 --head gap", "conv1 does not fit its input, 28x28"),
        ("--pool stride --kernels 1,5", "conv1 does not fit its input, 28x28"),
    ],
)
def test_convolutions_that_do_not_fit_are_told(arguments, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments.split()) == 1
    assert f"lenet-train: error: {says}" in capsys.readouterr().err.replace(
        "--channels 4 --kernels 3: ", ""
    ).replace("--channels 6,16 --kernels 1,5: ", "")
    assert not list(tmp_path.iterdir())


def test_a_network_may_have_no_hidden_dense_layer(tmp_path, capsys):
    for words in (["--dense", "none"], ["--dense", ""]):
        assert cli.main(["--summary", *words, "--out", str(tmp_path)]) == 0
        assert "lenet dense=none" in capsys.readouterr().out


def test_exchanged_parts_are_in_the_name_of_the_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = "--activation relu --pool max --norm batch --init he --head gap --channels 6,12"
    assert cli.main(["--summary", *parts.split(), "--epochs", "5"]) == 0
    folder = "runs/digits-lenet-relu-max-batch-he-gap-channels=6,12-best-epochs=5"
    assert (tmp_path / folder / cli.NETWORK).exists()
    assert "lenet relu max batch he gap" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arch, total",
    [("lenet", "61,706"), ("lenet5-1998", "60,850"), ("mlp", "203,530"), ("tiny", "4,722")],
)
def test_the_summary_shows_and_draws_the_layers(arch, total, tmp_path, capsys):
    assert cli.main(["--summary", "--arch", arch, "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert total in shown
    assert shown.splitlines()[-1] == f"drawn: {tmp_path / cli.NETWORK}"
    picture = matplotlib.image.imread(tmp_path / cli.NETWORK)
    assert picture[..., :3].min() < 0.5
    assert picture[0].min() == picture[-1].min() == 1


def test_help_needs_neither_jax_nor_matplotlib():
    code = (
        "import sys; from lenet_train.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'jax', 'flax', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
