"""The command line: what it writes, how fast it starts, and what it says to wrong input."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lenet_train.cli
from few_bits import on_grids
from lenet_export import bundled, checkpoint, cli, idx, read
from lenet_export.errors import UserError
from lenet_export.gap_table import GapRow, GapTable
from lenet_export.ink import Ink
from lenet_export.plan import make_plan
from needs import wide

from .networks import CHAINS, named_model

PROGRAM = [sys.executable, "-m", "lenet_export"]
MODELS = Path(cli.__file__).parent / "models"
THREE = ["lenet.c", "lenet.h", "lenet.json"]


def run(*arguments, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, **options
    )


def fails(capsys, *arguments):
    """The message of a command that must fail as a user's mistake: where, what, remedy."""
    assert cli.main([str(a) for a in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("lenet-export: error: ")
    what, *remedy = err.rstrip("\n").split("\n  ")
    assert ": " in what.removeprefix("lenet-export: error: ")
    assert remedy
    return err


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """A folder of its own to stand in: what is written without --out lands there."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture
def model_file(tmp_path):
    """A small whole checkpoint."""
    path = tmp_path / "model.safetensors"
    checkpoint.save(named_model("deep"), path)
    return path


def test_with_nothing_else_it_exports_and_verifies_the_bundled_model(tmp_path):
    done = run("--target", "c", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == THREE
    assert "0 of 4,440 logits differ from the JAX integer reference" in done.stdout
    assert "63,378 bytes" in done.stdout
    assert "1,112 bytes" in done.stdout


def test_without_verify_it_ends_within_a_second_and_never_imports_jax(tmp_path):
    code = (
        "import sys; from lenet_export.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'jax', 'flax', 'cffi', 'matplotlib', 'sklearn', 'rich'} & sys.modules.keys();"
        "sys.exit(status or (str(heavy) if heavy else 0))"
    )
    took = []
    while len(took) < 5 and min(took, default=2) >= 2:
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code, "--no-verify", "--out", str(tmp_path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    # CPU time: 0.65 s by itself, up to 1.1 s beside other tests, which share its core and caches.
    # What numpy's import takes would be no better a measure: it meets other neighbours.
    assert min(took) < 2


def test_the_screen_is_json_if_asked_and_warnings_alone_if_quiet(tmp_path, capsys):
    common = ["--no-verify", "--max-error", "0.002", "--out", str(tmp_path)]
    assert cli.main([*common, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main([*common, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert cli.main(common) == 0
    screen = capsys.readouterr().out
    manifest = json.loads((tmp_path / "lenet.json").read_text())
    for name in ("model_id", "dtype", "multiply_adds", "constant_bytes", "workspace_bytes"):
        assert told[name] == manifest[name]
    assert told["min_gap"] == manifest["min_gap"] > 0
    assert f"{told['trained']:.2%} of 10,000 test images" in screen
    counts = told["rejects"]
    assert f"{1 - counts['accepted'] / counts['images']:.2%} rejected" in screen
    assert told["verified"] is None
    assert told["not_verified"] == manifest["not_verified"] == "not asked for"
    assert all(path in screen and Path(path).exists() for path in told["files"])
    with pytest.raises(SystemExit):
        cli.main(["--json", "--quiet"])


def test_the_bundled_models_are_listed(capsys):
    assert cli.main(["--list-models"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["--list-models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in models] == bundled.names()
    assert [model["name"] for model in models if model["is_default"]] == [bundled.DEFAULT]
    for model in models:
        about = f"{model['accuracy']:.2%} of 10,000 test images, {model['constant_bytes']:,} bytes"
        assert f"{model['name']:<14}{about}" in text
        assert model["about"] in text and model["about"].endswith(".")
        assert not re.search(r"[`\[\n]", model["about"])
    few = next(model for model in models if model["name"] == "mnist-uno")
    assert few["constant_bytes"] < 21_000 and few["input_shape"] == [28, 28, 1]


#: Options with a value that is not the default one; any other option takes none.
VALUES = {
    "--model": "mnist-uno", "--network": "my.py:network", "--input-shape": "8x8x1",
    "--input-mean": "0", "--input-std": "1", "--target": "npz", "--dtype": "float32",
    "--cpu": "cortex-m4", "--optimize": "ram", "--out": "c", "--prefix": "my", "--tables": "apart",
    "--with": "picture", "--max-error": "0.1", "--max-amount-error": "0.1", "--images": "mnist",
    "--report": "page", "--evidence": "page", "--check-evidence": "page", "--release": "7",
}  # fmt: skip


@pytest.mark.parametrize("instead", list(cli.INSTEAD))
def test_beside_what_is_no_export_only_options_with_an_effect_are_taken(instead, capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    usage = capsys.readouterr().out.partition("\n\n")[0]
    options = {*re.findall(r"--[a-z-]+", usage)} - {"--no-verify", "--version", "--completion"}
    assert VALUES.keys() < options
    done = f"--{instead.replace('_', '-')}"
    words = {of: [of, *([VALUES[of]] if of in VALUES else [])] for of in options}
    for option in options - {done}:
        name = option.removeprefix("--").replace("-", "_")
        if name in cli.INSTEAD[instead]:
            cli._parse([*words[done], *words[option]])
            continue
        with pytest.raises(SystemExit):
            cli.main([*words[done], *words[option]])
        assert re.search(
            rf"{option} has no effect beside {done}: leave it out|not allowed with argument|"
            rf"{done} has no effect beside {option}", capsys.readouterr().err,
        ), option  # fmt: skip


@pytest.mark.parametrize("module", [cli, read, lenet_train.cli], ids=lambda of: of.__name__)
def test_help_has_examples_that_parse_and_the_exit_statuses(module, capsys):
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.endswith(module.EPILOG)
    examples = re.findall(r"^  (lenet-\w+)(.*?)(?:   .*)?$", module.EPILOG, re.MULTILINE)
    assert len(examples) >= 3
    for program, arguments in examples:
        assert f"usage: {program} " in text
        module._parse(arguments.split())
    statuses = re.findall(r"^  (\d+)  \w", module.EPILOG, re.MULTILINE)
    assert statuses == ["0", "1", "2", "130"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_the_options(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert "--max-amount-error" in script and "float32" in script
    name = shutil.which(shell)
    if name:
        done = subprocess.run([name, "-n"], input=script, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_two_exports_are_the_same_bytes_wherever_and_whenever(tmp_path):
    seen = []
    for place, zone in [("a", "Asia/Tokyo"), ("b/c", "America/Lima")]:
        folder = tmp_path / place
        folder.mkdir(parents=True)
        world = os.environ | {"TZ": zone, "PYTHONHASHSEED": str(len(place)), "LC_ALL": "C"}
        for target in ("c", "npz"):
            verify = ["--no-verify"] if target == "c" else []
            done = run("--target", target, *verify, "--out", folder, cwd=tmp_path, env=world)
            assert done.returncode == 0, done.stderr
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == [*THREE, "lenet.npz"]
        seen.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
        time.sleep(1.1)
    assert seen[0] == seen[1]


def test_no_output_holds_a_path_a_host_or_a_date(tmp_path):
    assert cli.main(["--no-verify", "--out", str(tmp_path / "secret")]) == 0
    for file in (tmp_path / "secret").iterdir():
        text = file.read_text()
        assert "secret" not in text
        assert os.uname().nodename not in text
        assert time.strftime("%Y-") not in text


def test_the_manifest_tells_what_the_files_are(tmp_path, bundled):
    assert cli.main(["--no-verify", "--max-error", "0.005", "--out", str(tmp_path)]) == 0
    manifest = json.loads((tmp_path / "lenet.json").read_text())
    plan = make_plan(bundled, "int8", 0.005)
    assert manifest["model_id"] == plan.model_id
    assert manifest["constant_bytes"] == plan.constant_bytes == 63_378
    assert manifest["workspace_bytes"] == 1_112
    assert manifest["multiply_adds"] == 416_520
    assert manifest["min_gap"] == plan.threshold
    assert [stage["name"] for stage in manifest["stages"]] == [
        "conv1",
        "conv2",
        "fc1",
        "fc2",
        "fc3",
    ]
    assert [stage["output"] for stage in manifest["stages"]][:2] == [[14, 14, 6], [5, 5, 16]]
    for name in ("lenet.c", "lenet.h"):
        data = (tmp_path / name).read_bytes()
        assert manifest["files"][name] == hashlib.sha256(data).hexdigest()


def test_the_stamp_is_a_command_that_prints_the_same_files(tmp_path, capsys):
    options = [
        "--dtype",
        "float32",
        "--prefix",
        "lenet_two",
        "--max-error",
        "0.00200000001",
        "--single-file",
    ]
    assert cli.main([*options, "--no-verify", "--out", str(tmp_path / "one")]) == 0
    stamp = (tmp_path / "one" / "lenet_two.h").read_text().split("lenet-export --target c ")[1]
    command = stamp.splitlines()[0].split()
    assert cli.main([*command, "--no-verify", "--out", str(tmp_path / "two")]) == 0
    capsys.readouterr()
    for name in ("lenet_two.h", "lenet_two.json"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two


@pytest.mark.parametrize(("model", "cpu"), [("mnist", "avr"), ("mnist-uno", "atmega328p")])
def test_the_stamp_names_a_bundled_model(model, cpu, tmp_path, capsys):
    given = ["--model", model, "--cpu", cpu, "--no-verify", "--out"]
    assert cli.main([*given, str(tmp_path / "one")]) == 0
    stamp = json.loads((tmp_path / "one" / "lenet.json").read_text())["command"]
    assert cli.main([*stamp.split()[1:], "--no-verify", "--out", str(tmp_path / "two")]) == 0
    capsys.readouterr()
    one, two = ((tmp_path / folder / "lenet.c").read_bytes() for folder in ("one", "two"))
    assert one == two


def test_a_file_is_told_with_no_path(model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own model.safetensors", "mnist"):
        Path(name).write_bytes(model_file.read_bytes())
        assert cli.main(["--model", f"{tmp_path}/{name}", "--no-verify", "--out", "one"]) == 0
        stamp = json.loads(Path("one/lenet.json").read_text())["command"]
        assert cli.main([*shlex.split(stamp)[1:], "--no-verify", "--out", "two"]) == 0
        assert Path("one/lenet.c").read_bytes() == Path("two/lenet.c").read_bytes()
        assert str(tmp_path) not in stamp


SHORT = ("deep", "normed", "strided")


@pytest.mark.parametrize("name", [*SHORT, *wide(name for name in CHAINS if name not in SHORT)])
def test_every_chain_exports_from_a_file(name, tmp_path, capsys):
    checkpoint.save(named_model(name), tmp_path / "m.safetensors")
    command = ["--model", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    assert "logits differ" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == THREE


def test_it_verifies_on_the_images_and_labels_of_a_folder(tmp_path, model_file, capsys):
    model = checkpoint.load(model_file)
    images = np.random.default_rng(0).integers(0, 256, (30, *model.input_shape), np.uint8)
    (tmp_path / "t10k-images-idx4-ubyte").write_bytes(idx.pack(images))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx.pack(np.zeros(30, np.uint8)))
    command = ["--model", model_file, "--images", tmp_path, "--out", tmp_path / "out"]
    assert cli.main([str(c) for c in command]) == 0
    out = capsys.readouterr().out
    assert "of 30 test images" in out
    assert "accuracy" in out


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_bundled_model_is_given_by_its_name(path, tmp_path, capsys):
    for model, out in [(path.stem, "name"), (str(path), "file")]:
        assert cli.main(["--model", model, "--target", "npz", "--out", str(tmp_path / out)]) == 0
    assert (tmp_path / "name/lenet.npz").read_bytes() == (tmp_path / "file/lenet.npz").read_bytes()
    assert f"the bundled {path.stem}, int8" in capsys.readouterr().out
    assert path.with_suffix(".md").exists()
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert path.stem in capsys.readouterr().out


@pytest.mark.parametrize(
    "model, dtype, says",
    [
        ("mnist", "int8", "int8"),
        ("mnist-uno", "int8", "int8 with weights of bits conv1=4,conv2=4,fc1=2,fc2=4,fc3=4"),
        ("mnist-uno", "float32", "float32"),
    ],
)
def test_weights_of_few_bits_are_not_announced_as_those_of_8(model, dtype, says, tmp_path, capsys):
    arguments = ["--model", model, "--dtype", dtype, "--no-verify", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"model     the bundled {model}, {says}, id \w{{12}}", first)
    # Nor is what training measured with such weights, and codes, called that of floats.
    (accuracy,) = (line.split()[1] for line in others if line.startswith("accuracy"))
    assert accuracy == ("float" if model == "mnist" else "quantized")


def test_a_missing_model_is_told(tmp_path, capsys):
    assert "cannot be read: no such file" in fails(capsys, "--model", tmp_path / "none.safetensors")
    assert "is a folder" in fails(capsys, "--model", tmp_path)


@pytest.mark.parametrize("name", ["mnist-mo", ""])
def test_a_name_that_no_bundled_model_has_is_told_those_that_are(name, capsys):
    message = fails(capsys, "--model", name)
    assert f"--model {name}: is neither a bundled model nor a file" in message
    names = sorted(path.stem for path in MODELS.glob("*.safetensors"))
    assert f"bundled: {', '.join(names)}; or give" in message


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" * 50, bytes(4096)])
def test_a_file_that_is_not_safetensors_is_told(data, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    message = fails(capsys, "--model", path, "--out", tmp_path / "out")
    assert f"{path}: is not a whole safetensors file" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keep", [7, 100, 0.5, -1])
def test_a_truncated_file_is_told(keep, model_file, capsys):
    data = model_file.read_bytes()
    model_file.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    assert "is not a whole safetensors file" in fails(capsys, "--model", model_file)


def rewritten(model_file, **changes):
    """Saves a changed model in the file's place."""
    checkpoint.save(dataclasses.replace(checkpoint.load(model_file), **changes), model_file)
    return model_file


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_told_with_its_place(value, model_file, capsys):
    params = dict(checkpoint.load(model_file).params)
    params["conv2/kernel"] = params["conv2/kernel"].copy()
    params["conv2/kernel"][1, 0, 2, 3] = value
    message = fails(capsys, "--model", rewritten(model_file, params=params))
    assert f"conv2/kernel has {value} at (1, 0, 2, 3)" in message


def test_a_wrong_shape_is_told_with_what_the_architecture_says(model_file, capsys):
    params = dict(checkpoint.load(model_file).params)
    params["conv2/kernel"] = params["conv2/kernel"][..., :3]
    message = fails(capsys, "--model", rewritten(model_file, params=params))
    assert "conv2/kernel has shape (4, 2, 3, 3), expected (4, 2, 3, 4)" in message
    assert "the architecture in its metadata says 4 channels" in message


def test_a_missing_a_surplus_and_a_half_tensor_are_told(model_file, capsys):
    whole = checkpoint.load(model_file).params
    less = {name: value for name, value in whole.items() if name != "head/bias"}
    assert "head/bias is missing" in fails(capsys, "--model", rewritten(model_file, params=less))
    checkpoint.save(dataclasses.replace(named_model("deep"), params=whole), model_file)
    more = whole | {"tail/bias": whole["head/bias"]}
    message = fails(capsys, "--model", rewritten(model_file, params=more))
    assert "tail/bias belongs to no layer" in message
    half = whole | {"head/bias": whole["head/bias"].astype(np.float16)}
    checkpoint.save(dataclasses.replace(named_model("deep"), params=half), model_file)
    assert "head/bias is of type F16, expected F32" in fails(capsys, "--model", model_file)


def test_a_wrong_tensor_of_few_bits_is_told_whatever_is_printed(model_file, capsys):
    model = on_grids(named_model("deep"), ["8", "2", "8", "8"])
    for name, change, says in [
        ("conv2/step", lambda step: step[:3], "conv2/step has shape (3,), expected (4,)"),
        ("conv2/step", lambda step: -step, "conv2: the step of output 0 is -"),
        ("conv2/kernel", lambda kernel: kernel * 1.1, "conv2/kernel at (0, 0, 0, 0) is"),
        ("conv2/step", lambda _: None, "conv2/step is missing"),
    ]:
        params = model.params | {name: change(model.params[name])}
        whole = {k: v.astype(np.float32) for k, v in params.items() if v is not None}
        checkpoint.save(dataclasses.replace(model, params=whole), model_file)
        for dtype in ("int8", "float32"):
            message = fails(capsys, "--model", model_file, "--dtype", dtype)
            assert says in message


def with_metadata(model_file, change, is_hashed=True):
    """The file with a changed JSON object in its metadata, and the hash that goes with it."""
    data = model_file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + size])
    content = json.loads(head["__metadata__"].pop(checkpoint.KEY))
    content = change(content)
    if is_hashed and "sha256" in (content or ()):
        with contextlib.suppress(ValueError):  # NaN is in no JSON, and has no hash
            content["sha256"] = checkpoint.sha256_of(content, checkpoint.load(model_file).params)
    if content is not None:
        head["__metadata__"][checkpoint.KEY] = json.dumps(content)
    else:
        head["__metadata__"] = {"format": "pt"}
    packed = json.dumps(head).encode()
    model_file.write_bytes(struct.pack("<Q", len(packed)) + packed + data[8 + size :])
    return model_file


def changed_stage(**changes):
    def change(content):
        content["stages"][1] |= changes
        return content

    return change


def with_gap_row(*row):
    def change(content):
        content["gap_table"]["rows"].append(row)
        return content

    return change


def with_ink(**changes):
    def change(content):
        return content | {"ink": dataclasses.asdict(Ink(2, 10, 8000, 200, 128)) | changes}

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: None, "its architecture is unknown"),
        (lambda c: c | {"format": 9}, "has format 9, expected 3"),
        (lambda c: c | {"stages": []}, "has no layers"),
        (lambda c: c | {"stages": 5}, "metadata is damaged"),
        (lambda c: c | {"input": [28, 28]}, "metadata is damaged"),
        (lambda c: c | {"input": [28, -28, 1]}, "metadata is damaged"),
        (lambda _: [1], "metadata is damaged"),
        (lambda c: c | {"gap_table": {"images": 0, "rows": []}}, "metadata is damaged"),
        (lambda c: c | {"gap_table": []}, "metadata is damaged"),
        (lambda c: c | {"gap_table": {"images": 9, "rows": [[0, 9, 0, 0]]}}, "lacks strangers"),
        (lambda c: c | {"none_output": 1}, "metadata is damaged"),
        (with_gap_row(9.0, 5, -3, 0), "metadata is damaged"),
        (with_gap_row(float("nan"), 5, 3, 0), "metadata is damaged"),
        (with_gap_row(1.0, 9999, 3, 0), "metadata is damaged"),
        (with_gap_row(2.0, 5, 0), "metadata is damaged"),
        (with_gap_row(2.0, 5, 0, 1), "metadata is damaged"),  # of no strangers
        (with_gap_row(0.7, 5, 0, 0), "metadata is damaged"),  # the gaps before it go up to 1
        (with_gap_row(2.0, 950, 0, 0), "metadata is damaged"),  # more than the 900 before it
        (with_ink(border=9), "metadata is damaged"),  # of 17 columns
        (with_ink(least=5.0), "metadata is damaged"),
        (with_ink(least=9000), "metadata is damaged"),  # more than the most
        (with_ink(most=2**32), "metadata is damaged"),
        (with_ink(share=257), "metadata is damaged"),
        (with_ink(peak=256), "metadata is damaged"),
        (with_ink(outside=3), "metadata is damaged"),
        (with_ink(colour="red"), "ink has colour"),
        (lambda c: c | {"ink": []}, "metadata is damaged"),
        (lambda c: c | {"activation_ranges": {"stem": 10**400}}, "metadata is damaged"),
        (changed_stage(name=[]), "metadata is damaged"),
        (lambda c: {k: v for k, v in c.items() if k != "input"}, "metadata is damaged"),
        (changed_stage(kind="lstm"), 'layer 2 of 4, conv2: kind "lstm" is not supported'),
        (changed_stage(padding="FULL"), 'padding "FULL" is not supported'),
        (changed_stage(activation="swish"), 'activation "swish" is not supported'),
        (changed_stage(bits="3"), 'bits "3" is not supported'),
        (changed_stage(bits=4), "metadata is damaged"),
        (changed_stage(bits="2"), "conv2/step is missing"),
        (changed_stage(features=0), "metadata is damaged"),
        (changed_stage(kernel=None), "conv with kernel size None"),
        (changed_stage(kernel=[99, 99], padding="VALID"), "its output would have the shape"),
        (changed_stage(colour="red"), "metadata is damaged"),
    ],
)
def test_an_unknown_architecture_is_told(change, says, model_file, capsys):
    message = fails(capsys, "--model", with_metadata(model_file, change))
    assert says in message


@pytest.mark.parametrize(
    "field",
    [f.name for f in dataclasses.fields(checkpoint.Stage) if f.name not in checkpoint.LATER],
)
def test_a_layer_that_lacks_a_field_is_told_and_not_guessed_at(field, model_file, capsys):
    def without(content):
        del content["stages"][1][field]
        return content

    message = fails(capsys, "--model", with_metadata(model_file, without))
    name = "None" if field == "name" else "conv2"
    assert f"its metadata is damaged (ValueError: layer {name} lacks {field})" in message


@pytest.mark.parametrize("field", sorted(checkpoint.FIELDS[3] - {"format"}))
def test_metadata_that_lack_a_field_are_told(field, model_file, capsys):
    def without(content):
        return {name: value for name, value in content.items() if name != field}

    message = fails(capsys, "--model", with_metadata(model_file, without))
    assert f"(ValueError: the metadata lacks {field})" in message


def test_what_was_changed_without_the_hash_is_told(model_file, capsys):
    def wider(content):
        content["activation_ranges"]["conv2"] *= 1e4
        return content

    message = fails(capsys, "--model", with_metadata(model_file, wider, is_hashed=False))
    assert "its SHA-256 is not that of its content: it was damaged, or changed" in message
    assert "copy it again" in message


def of_format(number):
    """What an older file of the same network holds."""

    def older(content):
        content["gap_table"]["rows"] = [row[:3] for row in content["gap_table"]["rows"]]
        del content["gap_table"]["strangers"]
        return {k: content[k] for k in checkpoint.FIELDS[number]} | {"format": number}

    return older


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_of_an_older_format_is_read_as_it_was_meant(number, model_file):
    new = checkpoint.load(model_file)
    old = checkpoint.load(with_metadata(model_file, of_format(number)))
    assert (old.stages, old.info, old.gap_table) == (new.stages, new.info, new.gap_table)
    assert (old.none_output, old.ink, old.gap_table.strangers) == (False, None, 0)


def test_what_only_format_3_has_is_written_and_read(tmp_path):
    of = named_model("deep")
    table = GapTable(50, (GapRow(0.0, 49, 2, 7), GapRow(0.5, 40, 0, 0)), 9)
    ink = Ink(2, 10, 8000, 200, 128, 50, 3)
    of = dataclasses.replace(of, none_output=True, ink=ink, gap_table=table)
    checkpoint.save(of, tmp_path / "model.safetensors")
    found = checkpoint.load(tmp_path / "model.safetensors")
    assert (found.none_output, found.ink, found.gap_table) == (True, ink, table)
    assert (found.classes, named_model("deep").classes) == (6, 7)


def test_a_file_of_format_1_is_read_without_a_hash_if_it_has_every_field(model_file, capsys):
    with_metadata(model_file, of_format(1))
    message = fails(capsys, "--model", with_metadata(model_file, lambda c: c | {"sha256": "0"}))
    assert "the metadata has sha256" in message


@pytest.mark.parametrize("name", sorted(path.stem for path in MODELS.glob("*.safetensors")))
def test_no_flipped_bit_of_a_bundled_model_is_read(name, tmp_path):
    """Or what is read is the same: spaces of the JSON may have turned into others."""
    data = (MODELS / f"{name}.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    whole = checkpoint.load(MODELS / f"{name}.safetensors")
    rng = np.random.default_rng(0)
    head = struct.unpack("<Q", data[:8])[0] + 8
    places = [*rng.integers(0, head, 80), *rng.integers(head, len(data), 80)]
    refused = 0
    for place, bit in zip(places, rng.integers(0, 8, len(places)), strict=True):
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            found = checkpoint.load(path)
        except UserError:
            refused += 1
            continue
        for field in dataclasses.fields(whole):
            if field.name != "params":
                assert getattr(found, field.name) == getattr(whole, field.name)
        assert all((found.params[k] == whole.params[k]).all() for k in whole.params)
    assert refused >= 155


def test_numbers_that_json_has_not_are_refused_where_they_are_read_and_written(model_file, capsys):
    for text in ("NaN", "Infinity", "-Infinity", "1e999"):
        number = float(text)
        info = {"test_accuracy": number}
        with pytest.raises(ValueError, match="not JSON compliant"):
            checkpoint.save(dataclasses.replace(named_model("deep"), info=info), model_file)
    data = model_file.read_bytes()
    for text in (b"NaN", b"1e9"):
        (size,) = struct.unpack("<Q", data[:8])
        head = json.loads(data[8 : 8 + size])
        content = json.loads(head["__metadata__"][checkpoint.KEY])
        content["info"] = {"test_accuracy": float("nan") if text == b"NaN" else float("inf")}
        head["__metadata__"][checkpoint.KEY] = json.dumps(content).replace("Infinity", "1e999")
        packed = json.dumps(head).encode()
        model_file.write_bytes(struct.pack("<Q", len(packed)) + packed + data[8 + size :])
        assert "not JSON compliant" in fails(capsys, "--model", model_file)


def test_a_tensor_of_many_gigabytes_is_told_before_it_is_read(model_file, capsys):
    """Its bytes are a hole in the file: reading them would take all memory."""
    head = json.loads(model_file.read_bytes()[8:].split(b"}}")[0] + b"}}")
    first = next(name for name in head if name != "__metadata__")
    columns = 2**36
    tensors = {first: {"dtype": "F32", "shape": [columns], "data_offsets": [0, 4 * columns]}}
    packed = json.dumps({"__metadata__": head["__metadata__"]} | tensors).encode()
    model_file.write_bytes(struct.pack("<Q", len(packed)) + packed)
    os.truncate(model_file, 8 + len(packed) + 4 * columns)
    assert f"{first} has shape ({columns},), expected" in fails(capsys, "--model", model_file)


@pytest.mark.parametrize("name", ["", "a/b", "../../x", "a\x1b[31m", "a\nb"])
def test_a_layer_s_name_that_is_none_is_told(name, model_file, capsys):
    with_metadata(model_file, changed_stage(name=name))
    for target in ("c", "npz"):
        message = fails(capsys, "--model", model_file, "--target", target)
        assert "its name is none" in message or "are not all texts" in message
        assert "\x1b" not in message


def test_text_of_the_model_cannot_break_out_of_a_c_comment(model_file, tmp_path):
    info = {"arch": "*/ int evil; /*", "dataset": "a\nb", "images": "x */ y"}
    rewritten(model_file, info=info)
    assert cli.main(["--model", str(model_file), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "lenet.h").read_text()
    assert "*/ int" not in text
    assert "x */" not in text


def test_a_layer_of_zeros_is_told(model_file, capsys):
    params = dict(checkpoint.load(model_file).params)
    params["conv3/kernel"] = np.zeros_like(params["conv3/kernel"])
    message = fails(capsys, "--model", rewritten(model_file, params=params))
    assert "layer 3 of 4, conv3: has only zero weights" in message


def test_a_file_in_place_of_the_folder_is_told_and_kept(tmp_path, capsys):
    path = tmp_path / "out"
    path.write_text("precious")
    assert "is a file, not a folder" in fails(capsys, "--no-verify", "--out", path)
    assert "cannot be written" in fails(capsys, "--no-verify", "--out", path / "below")
    assert path.read_text() == "precious"


def test_a_folder_in_place_of_a_file_is_told_and_nothing_else_is_written(tmp_path, capsys):
    (tmp_path / "lenet.json").mkdir()
    assert "is a folder" in fails(capsys, "--no-verify", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lenet.json"]


def test_an_unwritable_folder_is_told(capsys):
    message = fails(capsys, "--no-verify", "--out", "/proc/lenet")
    assert "/proc/lenet" in message
    assert "cannot be written" in message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "rust"], "invalid choice: 'rust' (choose from"),
        (["--dtype", "int4"], "invalid choice: 'int4' (choose from"),
        (["--max-error", "1.5"], "'1.5' is not a share between 0 and 1"),
        (["--max-error", "0"], "'0' is not a share between 0 and 1"),
        (["--max-error", "nan"], "'nan' is not a share between 0 and 1"),
        (["--max-error", "few"], "'few' is not a share between 0 and 1"),
        (["--prefix", "2nd"], "use lower-case letters"),
        (["--prefix", "int"], "use lower-case letters"),
        (["--prefix", "stdint"], "use lower-case letters"),
        (["--prefix", "threads"], "no word or header of C"),
        (["--prefix", "riscv_vector"], "use lower-case letters"),
        (["--prefix", "features"], "use lower-case letters"),
        (["--prefix", "a/b"], "use lower-case letters"),
        (["--prefix", "Lenet"], "use lower-case letters"),
        (["--target", "npz", "--single-file"], "--single-file goes with --target c only"),
        (["--target", "npz", "--verify"], "--verify goes with --target c"),
        (["--target", "npz", "--cpu", "avr"], "--cpu goes with --target c"),
        (["--cpu", "cortex-m99"], "invalid choice: 'cortex-m99'"),
        (["--cpu", "cortex-m4", "--optimize", "size"], "invalid choice: 'size'"),
        (["--no-verify", "--images", "x"], "--images goes with --verify only"),
        (["surplus"], "unrecognized arguments: surplus"),
    ],
)
def test_wrong_usage_ends_with_status_2(arguments, says, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_a_max_error_that_cannot_be_reached_is_told(model_file, capsys):
    message = fails(capsys, "--model", model_file, "--max-error", "0.0001")
    assert "--max-error 0.0001: cannot be reached" in message
    rewritten(model_file, gap_table=None)
    assert "no score-gap table" in fails(capsys, "--model", model_file, "--max-error", "0.1")


def test_what_a_killed_program_left_is_not_in_the_way(tmp_path):
    for name in THREE:
        (tmp_path / f".{name}.{os.getpid()}").write_bytes(b"half")
    assert cli.main(["--no-verify", "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} >= set(THREE)


def test_a_terminal_without_the_letters_is_no_reason_to_fail(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lenet_export", "--no-verify", "--out", "zahl-é"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"zahl-\\xe9" in done.stdout


def test_wrong_images_are_told(tmp_path, model_file, capsys):
    command = ["--model", model_file, "--out", tmp_path / "out", "--images", tmp_path]
    assert "holds no t10k-images-idx4-ubyte" in fails(capsys, *command)
    images = tmp_path / "t10k-images-idx4-ubyte"
    images.write_bytes(b"nonsense")
    assert "expected 00 00 08 04" in fails(capsys, *command)
    images.write_bytes(idx.pack(np.zeros((5, 9, 9, 2), np.uint8)))
    assert "has images of 9x9x2, expected 22x17x2" in fails(capsys, *command)
    images.write_bytes(idx.pack(np.zeros((5, 22, 17, 2), np.uint8))[:-1])
    assert "bytes, expected" in fails(capsys, *command)
    images.write_bytes(idx.pack(np.zeros((5, 22, 17, 2), np.uint8)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx.pack(np.zeros(4, np.uint8)))
    assert "5 images but 4 labels" in fails(capsys, *command)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx.pack(np.array([0, 1, 200, 3, 4], np.uint8)))
    message = fails(capsys, *command)
    assert f"{labels}: label 2 is 200, and the model has 7 classes\n" in message
    assert "give labels of 0 to 6" in message
    assert not (tmp_path / "out").exists()


def test_a_missing_file_of_images_is_told_as_a_missing_model_is(tmp_path, capsys):
    message = fails(capsys, "--images", tmp_path / "none", "--out", tmp_path / "out")
    assert message == (
        f"lenet-export: error: {tmp_path / 'none'}: cannot be read: no such file or directory\n"
        "  check the path and its permissions\n"
    )


def test_a_path_that_the_system_refuses_is_told(tmp_path, capsys):
    long = tmp_path / ("x" * 300)
    assert "file name too long" in fails(capsys, "--model", long)
    assert "file name too long" in fails(capsys, "--no-verify", "--out", long)
    assert "file name too long" in fails(capsys, "--images", long)
    os.mkfifo(tmp_path / "pipe")
    for option in ("--model", "--images"):
        assert "is not a file" in fails(capsys, option, tmp_path / "pipe")
        assert "is not a file" in fails(capsys, option, "/dev/zero")


@pytest.mark.parametrize("compiler", ["true", "echo", '"', "cc -c"])
def test_a_compiler_that_makes_no_library_is_told(compiler, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    assert "set CC to a C" in fails(capsys, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cross_compiler_is_told_that_it_is_none_for_this_machine(tmp_path, capsys, monkeypatch):
    compiler = tmp_path / "cross-gcc"
    compiler.write_text("#!/bin/sh\necho cannot find crt0.o >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    message = fails(capsys, "--out", tmp_path / "out")
    assert "cannot find crt0.o" in message
    assert "for this machine" in message and "--no-verify" in message


@pytest.mark.parametrize("platform", ["cuda", "nonesuch"])
def test_a_device_that_jax_does_not_have_is_told_as_a_mistake(platform, tmp_path):
    done = run("--out", tmp_path / "out", env=os.environ | {"JAX_PLATFORMS": platform})
    assert done.returncode == 1
    first, remedy = done.stderr.splitlines()
    assert first.startswith(f"lenet-export: error: JAX_PLATFORMS={platform}: finds no such device")
    assert remedy.startswith("  unset JAX_PLATFORMS")
    assert not (tmp_path / "out").exists()


def test_a_compiler_with_a_wrapper_works(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "env cc -g")
    assert cli.main(["--out", str(tmp_path)]) == 0


def test_no_compiler_is_told_with_its_remedy(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    message = fails(capsys, "--out", tmp_path / "out")
    assert "C compiler no-such-compiler: is not installed" in message
    assert "--no-verify" in message
    assert not (tmp_path / "out").exists()


def test_one_different_logit_ends_with_status_1_names_the_layer_and_writes_nothing(
    tmp_path, capsys, monkeypatch
):
    """A compiler that computes wrong: it changes one rounding of the generated C."""
    compiler = tmp_path / "wrong-cc"
    compiler.write_text(
        "#!/bin/sh\n"
        'for file; do case "$file" in *.c) sed -i "s/(sum + 2u)/(sum + 1u)/" "$file";; esac; done\n'
        'exec cc "$@"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    message = fails(capsys, "--out", tmp_path / "out")
    told = (
        r"\d+ of 1440 logits differ from JAX; image \d+ differs first in layer conv1 at \(0, 0, \d"
    )
    assert re.search(told, message)
    assert not (tmp_path / "out").exists()


def test_the_files_name_their_cpu_and_the_models_id_does_not_depend_on_it(tmp_path):
    ids = set()
    for options in (["--cpu", "cortex-m4", "--optimize", "ram"], ["--cpu", "avr"], []):
        assert cli.main([*options, "--no-verify", "--out", str(tmp_path)]) == 0
        manifest = json.loads((tmp_path / "lenet.json").read_text())
        command = " ".join(["lenet-export --target c", *options])
        assert manifest["command"] == command
        assert f": {command}\n" in (tmp_path / "lenet.c").read_text()
        ids.add(manifest["model_id"])
    assert len(ids) == 1
