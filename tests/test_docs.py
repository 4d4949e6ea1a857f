"""What the documents say is so: their programs run, their figures are measured."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

import command_line
import formats
import needs
import neuron
import python_page
from lenet_export import bundled, checkpoint, verify
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus.registry import lay_out
from lenet_export.crc import crc32c
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from lenet_train import architectures, model
from needs import ROOT, blocks, require

README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "DESIGN.md").read_text()
KERNELS = (ROOT / "docs/kernels.md").read_text()
NUMERICS = (ROOT / "docs/numerics.md").read_text()
CARDS = sorted((ROOT / "export/lenet_export/models").glob("*.md"))
LENET_H = ROOT / "c_runtime/generated/lenet.h"
#: Those with documents.
FOLDERS = [
    *(".", "docs", "benchmarks", "c_runtime/firmware"),
    *("export/lenet_export/models", "train/lenet_train/optdigits"),
]
MEASURED = json.loads((ROOT / "benchmarks/figures.json").read_text())
FIGURES, SIZES = MEASURED["figures"], MEASURED["sizes"]
OTHERS = json.loads((ROOT / "benchmarks/others.json").read_text())
#: The cores as the tables of docs/kernels.md name them.
CORES = {
    "Cortex-M0": "cortex-m0",
    "Cortex-M3": "cortex-m3",
    "Cortex-M4": "cortex-m4",
    "Cortex-M55": "cortex-m55",
    "RV32": "riscv32",
}


def thousands(count):
    return f"{count / 1000:,.0f} k"


def test_the_program_of_the_readme_has_no_warning(tmp_path):
    program, *_ = blocks(README, "c")
    (tmp_path / "main.c").write_text(program)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    folder = ROOT / "c_runtime/generated"
    subprocess.run([require("gcc"), *flags, f"-I{folder}", tmp_path / "main.c"], check=True)


def test_the_figures_of_the_readme_are_measured(bundled, mnist):
    images, labels = mnist
    plans = {dtype: make_plan(bundled, dtype) for dtype in ("int8", "float32")}
    # The C, which takes a fifth of the reference's time; others compare the two.
    network = CompiledNetwork(plans["int8"], render_c(plans["int8"], Options()))
    guesses = network.logits(images).argmax(1)
    floats = bundled.info["test_accuracy"]
    for figure in (
        f"| MNIST, 10,000 test images | {(guesses == labels).mean():.2%} | {floats:.2%}".replace(
            "%", " %"
        ),
        "| constants in flash "
        + "".join(f"| {plan.constant_bytes:,} bytes " for plan in plans.values()),
        "| workspace in RAM "
        + "".join(f"| {plan.workspace_bytes:,} bytes " for plan in plans.values()),
        f"{sum(value.size for value in bundled.params.values()):,} parameters",
        f"{sum(layer.multiply_adds for layer in plans['int8'].layers):,} multiply-adds",
        f"0 of {10 * (len(images) + len(verify.stress_images(plans['int8']))):,}",
    ):
        assert figure in README, figure


DOCUMENTS = [
    str(file.relative_to(ROOT))
    for folder in FOLDERS
    for file in sorted((ROOT / folder).glob("*.md"))
]


#: Pages of names, of which two may do the same.
LISTS = ("docs/python.md", "docs/command-line.md")


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in LISTS])
def test_no_document_says_a_sentence_twice(document):
    sentences = re.split(r"(?<=[.:])\s+", " ".join((ROOT / document).read_text().split()))
    long = [sentence for sentence in sentences if len(sentence) > 60]
    assert len(long) == len(set(long)), [one for one in long if long.count(one) > 1]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_and_section_that_a_document_names_exists(document):
    path = ROOT / document
    named = re.findall(r"\]\((?!http)([^)#\s]*)#?([^)\s]*)\)", path.read_text())
    for name, section in named:
        file = path.parent / name if name else path
        assert file.exists(), name
        assert not section or section in sections(file.read_text()), (name, section)


def sections(text):
    """What links call the heads of a document, as GitHub names them."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_the_head_of_a_card_is_that_of_its_model(card):
    """What a hub of models reads of it."""
    _, head, text = card.read_text().split("---\n", 2)
    model = bundled.load(card.stem)
    assert f"\n- name: {card.stem}\n" in head
    assert f"\n      value: {model.info['test_accuracy']}\n" in head
    assert "| Test accuracy, float32" in text
    assert head.startswith("license: mit\n")


def test_the_figures_of_design_and_numerics_are_those_of_the_plan(int8_plan):
    conv1, _, fc1, *_ = (layer.integers.requantize for layer in int8_plan.layers[:-1])
    assert f"{conv1.gain.max():,} in conv1, {fc1.gain.max():,} in fc1" in NUMERICS
    assert f"{int8_plan.workspace_bytes:,} bytes" in DESIGN


def test_the_flash_of_the_readme_is_that_of_the_objects():
    sizes = {name: f"{size['bytes']:,} bytes" for name, size in SIZES.items()}
    m0, m4, soft, hard = (
        sizes[name]
        for name in (
            "int8, Cortex-M0",
            "int8, Cortex-M4",
            "float32, Cortex-M4, soft floats",
            "float32, Cortex-M4, hard floats",
        )
    )
    assert f"| constants and code, Cortex-M4, gcc 12 `-Os` | {m4} | {hard} |" in README
    assert f"| the same, Cortex-M0 | {m0} | |" in README
    assert MEASURED["compilers"]["arm-none-eabi-gcc"].split(".")[0] == "12"
    undefined = {name: size["undefined"] for name, size in SIZES.items()}
    runtime = undefined.pop("float32, Cortex-M4, soft floats")
    assert f"({runtime} symbols, {soft})" in README
    assert set(undefined.values()) == {0}


def test_the_arduino_uno_of_the_documents_is_measured():
    uno, plan = FIGURES["atmega328p"]["atmega328p speed"], few_bits_plan("atmega328p")
    text = " ".join(README.split())
    assert f"are {uno['program_flash']:,} bytes of flash, and {uno['program_ram']:,} of" in text
    assert f"the stack needs {max(uno['stack'], uno['self_test_stack'])} more" in text
    million = uno["instructions"] / 1e6
    assert f"{million:.1f} million cycles, {million / 16:.2f} s at 16 MHz" in text
    tables, code = plan.constant_bytes, uno["flash"] - plan.constant_bytes
    parts = f"{tables:,} bytes of tables, {code:,} of code with the self-test, "
    parts += f"{uno['program_flash'] - uno['flash']:,} of sketch, UART and start-up: "
    assert f"{parts}{uno['program_flash']:,} of 32,768" in " ".join(KERNELS.split())


def test_the_steps_of_the_self_test_are_measured():
    page = (ROOT / "docs/measure-on-your-board.md").read_text()
    for name, core, unit in (
        ("Cortex-M0", "cortex-m0", ""),
        ("Cortex-M4", "cortex-m4", ""),
        ("Arduino Uno, `mnist-uno`", "atmega328p", " cycles"),
    ):
        found = FIGURES[core][f"{core} speed"]
        counts = [f"{thousands(found[key])}{unit}" for key in ("self_test_count", "step_count")]
        assert f"| {name} | {found['steps']} | {' | '.join(counts)} |" in page, name
    uno = FIGURES["atmega328p"]["atmega328p speed"]
    step, whole = (f"{uno[key] / 16e6:.2g} s" for key in ("step_count", "self_test_count"))
    text = " ".join((ROOT / "CHANGELOG.md").read_text().split())
    assert f"on an Arduino Uno {step}, where the whole takes {whole}" in text


def test_the_cycles_of_a_multiply_add_are_estimated():
    found = FIGURES["cortex-m4"]
    gcc, clang = (
        (thousands(found[f"cortex-m4 {how}"]["cycles"]), found[f"cortex-m4 {how}"])
        for how in ("speed", "clang")
    )
    each = [of["cycles_per_multiply_add"] for _, of in (gcc, clang)]
    assert f"{gcc[0]} cycles, {each[0]:.2f} a multiply-add" in KERNELS
    assert f"(clang 14: {clang[0]}, {each[1]:.2f})" in KERNELS
    names = ("cortex-m4 keywords", "cortex-m4 keywords clang")
    keywords = [found[name]["cycles_per_multiply_add"] for name in names]
    assert f"random weights) takes {keywords[0]:.2f} a multiply-add" in KERNELS
    assert f"(clang 14: {keywords[1]:.2f}), by the two kernels" in " ".join(KERNELS.split())
    assert max(each[0], keywords[0]) <= 1.4


def test_the_attiny85_of_the_documents_is_measured():
    tiny = FIGURES["attiny85"]["attiny85 speed"]
    model = bundled.load("mnist-tiny")
    plan = lay_out(make_plan(model, "int8"), "attiny85", "speed")
    text, page = (" ".join(document.split()) for document in (README, KERNELS))
    assert f"are {tiny['program_flash']:,} bytes of flash, and {tiny['program_ram']:,} of" in text
    left = 512 - tiny["program_ram"] - tiny["program_bound"]
    assert f"at most {tiny['program_bound']} more, so that {left} are left" in text
    million, test_million = tiny["instructions"] / 1e6, tiny["self_test_count"] / 1e6
    assert f"{million:.1f} million cycles, {million / 8:.2f} s at 8 MHz" in text
    assert f"takes {test_million:.1f} million cycles, {test_million / 8:.1f} s at 8 MHz" in page
    assert f"{100 * model.info['test_accuracy']:.2f} % of the MNIST test images" in text
    curve = json.loads((ROOT / "benchmarks/sizes.json").read_text())["tiny"]
    mean = sum(curve["right"]) / len(curve["right"]) / curve["images"]
    assert f"({100 * mean:.2f} % in the mean of three trainings)" in text
    # The seed that is bundled is the best by validation images.
    best = np.argmax(curve["validation"])
    assert curve["right"][best] / curve["images"] == model.info["test_accuracy"]
    assert f"Your own program has [{512 - tiny['ram'] - tiny['self_test_bound']} bytes" in text
    for what, ram, bound, used in (
        ("an image, row by row", tiny["ram"], tiny["stack_bound"], None),
        ("the self-test too", tiny["ram"], tiny["self_test_bound"], tiny["flash"]),
        ("the sketch, which measures both", tiny["program_ram"], tiny["program_bound"],
         tiny["program_flash"]),
    ):  # fmt: skip
        flash = f"{8192 - used:,} " if used else ""
        assert f"| {what} | {ram} | {bound} | {512 - ram - bound} | {flash}|" in KERNELS
    tables, code = plan.constant_bytes, tiny["flash"] - plan.constant_bytes
    parts = f"{tables:,} bytes of tables, {code:,} of code with the self-test, "
    rest = tiny["program_flash"] - tiny["flash"]
    assert f"{parts}{rest:,} of sketch, USI and start-up: {tiny['program_flash']:,} of 8," in page
    cycles = thousands(tiny["instructions"])
    for document in (KERNELS, DESIGN):
        assert re.search(rf"^\| `attiny85` \| one loop.* \| {cycles} cycles \|", document, re.M)


def few_bits_plan(cpu):
    model = checkpoint.load(ROOT / "export/lenet_export/models/mnist-uno.safetensors")
    return lay_out(make_plan(model, "int8"), cpu, "speed")


def test_the_table_of_few_bits_is_measured():
    for core, cpu in CORES.items():
        rows = [FIGURES[cpu][f"{cpu} {what}"]["instructions"] for what in ("speed", "mnist-uno")]
        assert f"| {core} | {' | '.join(map(thousands, rows))} | " in KERNELS, core
    cycles = thousands(FIGURES["atmega328p"]["atmega328p speed"]["instructions"])
    assert f"| Arduino Uno, `-O2` | does not fit | {cycles} cycles | " in KERNELS
    network = few_bits_plan("atmega328p").model
    bits = {stage.name: stage.grid[0] for stage in network.stages}
    weights = sum(network.params[f"{name}/kernel"].size * n for name, n in bits.items()) // 8
    assert bits.pop("fc1") == 2
    assert set(bits.values()) == {4}
    assert f"({weights:,} bytes of weights)" in KERNELS
    assert f"{weights / 1000:.1f} KB" in README


def test_plain_c_and_the_best_other_of_the_kernels_are_measured():
    for cpu in CORES.values():
        plain = thousands(FIGURES[cpu]["generic"]["instructions"])
        best = OTHERS["best"].get(cpu) or min(OTHERS[cpu].items(), key=lambda other: other[1])
        name, count = best[:2]
        other = f" {count:,} k ({name.split(' + ')[0]}" if name else "  |"
        row = rf"^\| `{cpu}` \|.* k \| {plain} \|{re.escape(other)}"
        assert re.search(row, KERNELS, re.MULTILINE), cpu


def test_optimize_flash_of_the_kernels_is_measured():
    flash = FIGURES["cortex-m4"]["cortex-m4 flash"]
    row = f"| `--optimize flash` | {flash['flash']:,} bytes | {thousands(flash['instructions'])} |"
    assert row in KERNELS


def test_the_zeros_of_lenet5_are_those_of_its_architecture():
    network = model.Network(architectures.LENET5)
    variables = network.init(jax.random.key(0), np.zeros((1, 28, 28, 1), np.uint8))
    kernels = model.deployed(architectures.LENET5, variables)
    zeros = {name: (kernels[f"{name}/kernel"] == 0).sum() for name in ("s2", "s4", "c3")}
    places = {"s2": 14 * 14, "s4": 5 * 5, "c3": 10 * 10}
    wasted = sum(count * places[name] for name, count in zeros.items())
    text = " ".join(DESIGN.split())
    subsampling = zeros["s2"] + zeros["s4"]
    assert f"{subsampling + zeros['c3']:,} bytes of flash" in text
    assert f"({subsampling:,} of subsampling, {zeros['c3']:,} of C3)" in text
    total = lenet5_multiplications(kernels)
    assert f"{wasted // 1000} thousand of {total // 1000} thousand" in text


def lenet5_multiplications(kernels):
    places = {"c1": 28 * 28, "s2": 14 * 14, "c3": 10 * 10, "s4": 5 * 5}
    return sum(
        kernel.size * places.get(name.split("/")[0], 1)
        for name, kernel in kernels.items()
        if name.endswith("/kernel")
    )


PI_5 = "aarch64-dotprod"
RUNS_ON_X86 = json.loads((ROOT / "benchmarks/x86.json").read_text())["runs"]


def test_what_plain_c_costs_was_measured():
    """Beside the CPU that `auto` takes on a host with AVX2, and on a Raspberry Pi 5."""
    times = RUNS_ON_X86[-1]["images"]
    int8, float32 = (
        times[f"this project, --cpu generic, {dtype}"]["us"]
        / times[f"this project, --cpu x86-64-v3, {dtype}"]["us"]
        for dtype in ("int8", "float32")
    )
    pi = [FIGURES[PI_5][of]["instructions"] for of in ("generic", f"{PI_5} speed")]
    told = f"takes {int8:.1f} times as long in int8 where `auto` is `x86-64-v3`, "
    told += f"{float32:.0f} times in float32, and {pi[0] / pi[1]:.0f} times the instructions on a "
    told += "Raspberry Pi 5."
    assert told in " ".join(README.split())


def test_the_times_on_x86_are_those_of_the_last_run():
    wide = "this project, --cpu x86-64-v4, int8"
    run = [run for run in RUNS_ON_X86 if wide in run["images"]][-1]
    ours = {
        (cpu, dtype): run["images"][f"this project, --cpu {cpu}, {dtype}"]
        for cpu in ("x86-64-v4", "x86-64-v3")
        for dtype in ("int8", "float32")
    }
    for cpu in ("x86-64-v4", "x86-64-v3"):
        cells = [f"{one['ratio']:.2f} ({one['us']} us)" for (c, _), one in ours.items() if c == cpu]
        assert f"| `{cpu}` | {' | '.join(cells)} |" in KERNELS
    (peer,) = (one["us"] for name, one in run["images"].items() if name.startswith("LiteRT"))
    assert f"LiteRT's float32, which took {peer} us on a Zen 4" in KERNELS
    assert "Zen 4" in run["machine"]
    assert run["compiler"].startswith("gcc 12")
    int8, float32 = (ours["x86-64-v4", dtype]["ratio"] for dtype in ("int8", "float32"))
    told = f"takes {int8:.2f} of LiteRT's float32 time in int8, and {float32:.2f} in float32"
    assert told in " ".join(README.split())


@pytest.mark.parametrize("text", [DESIGN, KERNELS], ids=["DESIGN", "kernels"])
def test_the_cpus_of_the_documents_take_what_was_measured(text):
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| ([\d,]+) k(?: cycles)? \|", text, re.M)
    assert {cpu for cpu, _ in rows} == FIGURES.keys() - {"cortex-m7"}  # that of the M4
    for cpu, thousands in rows:
        instructions = FIGURES[cpu][f"{cpu} speed"]["instructions"]
        assert f"{instructions / 1000:,.0f}" == thousands, cpu


@pytest.mark.parametrize("text", [DESIGN, KERNELS], ids=["DESIGN", "kernels"])
def test_what_clang_makes_of_the_same_c_was_measured(text):
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| [\d,]+ k(?: cycles)? \| ([^|]*) \|", text, re.M)
    measured = {cpu: found.get(f"{cpu} clang") for cpu, found in FIGURES.items()}
    measured.pop("cortex-m7")  # that of the M4
    told = {cpu: thousands(found["instructions"]) for cpu, found in measured.items() if found}
    assert {cpu: cell for cpu, cell in rows if cell.strip()} == told
    assert MEASURED["compilers"]["clang"].split(".")[0] == "14"


def test_clang_needs_little_more_than_gcc_on_small_cores():
    for cpu in ("cortex-m0", "cortex-m3", "riscv32", "cortex-m55"):
        gcc, clang = (FIGURES[cpu][f"{cpu} {how}"]["instructions"] for how in ("speed", "clang"))
        assert clang < 1.155 * gcc, cpu


def test_the_design_tells_every_module():
    for package in ("export/lenet_export", "train/lenet_train", "benchmarks"):
        for file in (ROOT / package).rglob("[a-z]*.py"):
            assert file.name in DESIGN, file.name


def test_the_page_of_python_is_that_of_the_docstrings():
    assert python_page.PAGE.read_text() == python_page.page(), "python tests/python_page.py"


def test_the_page_of_the_command_line_is_that_of_the_parsers():
    told = "python docs/site/command_line.py"
    assert command_line.PAGE.read_text() == command_line.page(), told


def test_the_worked_neuron_is_that_of_the_bundled_model():
    for path, text in neuron.written(neuron.told()).items():
        assert pixels_for_pngs(path.read_text()) == pixels_for_pngs(text), "docs/site/neuron.py"


def test_what_the_tutorial_tells_of_the_network_is_so(int8_plan):
    text = (ROOT / "docs/tutorial.md").read_text()
    for layer in int8_plan.layers:
        parameters = layer.weight.size + layer.bias.size
        row = rf"^\| {layer.name} \| .* \| {parameters:,} \| {layer.multiply_adds:,} \|$"
        assert re.search(row, text, re.MULTILINE), layer.name
    plain, m4 = (FIGURES["cortex-m4"][of]["instructions"] for of in ("generic", "cortex-m4 speed"))
    assert "a fifth of plain C's" in text and round(plain / m4) == 5


@pytest.mark.parametrize("document", ["docs/tutorial.md", "docs/neuron.md"])
def test_the_c_that_a_document_reads_is_that_of_the_generated_file(document):
    quoted = [c for c in blocks((ROOT / document).read_text(), "c") if "int main(" not in c]
    assert len(quoted) >= 2
    for part in quoted:
        assert part in (ROOT / "c_runtime/generated/lenet.c").read_text()


def test_the_page_of_formats_is_that_of_the_code():
    assert formats.PAGE.read_text() == formats.page(), "python docs/site/formats.py"


def test_the_page_of_formats_tells_all_of_a_manifest_and_of_tables_as_bytes(int8_plan):
    named = replace(int8_plan.model, class_names=tuple("abcdefghij"))
    plan = make_plan(named, "int8", is_hardened=True)
    options = Options(parts=("picture",), notes=("so",), not_verified="no JAX")
    files = render_c(plan, replace(options, tables="blob", release=7))
    manifest = json.loads(files["lenet.json"])
    assert needs.formats("`lenet.json`") == manifest.keys()
    data = files["lenet_tables.bin"]
    rows = re.findall(r"^\| (\d+) to (\d+) \|", formats.PAGE.read_text(), re.MULTILINE)
    parts = [data[int(first) : int(last) + 1] for first, last in rows]
    told = [int.from_bytes(part, "little") for part in parts]
    assert parts[0] == b"LNet" and told[1] == 1 and told[5] == len(data) and told[7] == 7
    assert told[6] == crc32c(data[32:]) and parts[8].hex() == plan.model_id
    code = "".join(f"{int.from_bytes(parts[4][at : at + 4], 'little'):08x}" for at in (0, 4))
    assert code == manifest["tables"]["code"]


def test_each_word_of_the_glossary_is_in_order_and_used():
    code = [*(ROOT / "export").rglob("*.py"), *(ROOT / "train").rglob("*.py"), LENET_H]
    documents = [ROOT / name for name in DOCUMENTS if "glossary" not in name]
    used = "".join(path.read_text() for path in [*documents, *code]).lower().replace("_", " ")
    for section in (ROOT / "docs/glossary.md").read_text().split("\n## ")[1:]:
        words = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)[1:]
        assert words == sorted(words, key=lambda word: word.strip("`").lower())
        for word in words:
            forms = word.lower().replace("`", "").split(", ")
            assert any(form in used for form in forms), word


def pixels_for_pngs(text):
    """A text whose pictures are their pixels: how they are packed is zlib's."""
    address = r"data:image/png;base64,([^\"]+)"
    return re.sub(address, lambda of: str(png_of(of[1]).tolist()), text)


def png_of(packed):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))))


def percent(share):
    return f"{100 * share:.2f}"


def test_the_table_of_writers_is_measured():
    training = (ROOT / "docs/training.md").read_text()
    measured = json.loads((ROOT / "benchmarks/writers.json").read_text())
    for name, found in measured.items():
        table, cells = bundled.load(name).gap_table, []
        for split in ("validation", "test"):
            wrong = {who: percent(share) for who, share in found["wrong"][split].items()}
            cells.append(f"{wrong['all']} ({wrong['employees']}, {wrong['students']})")
        for asked in ("0.002", "0.001"):
            shares, row = found["thresholds"][asked], table.row(float(asked))
            rejected = 1 - row.accepted / table.images
            assert shares["validation"]["rejected"] == rejected, "python benchmarks/writers.py"
            of = [map(percent, shares[split].values()) for split in ("validation", "test")]
            cells.append("; ".join(map(", ".join, of)))
        assert f"| `{name}` | {' | '.join(cells)} |" in training, name
        employees, students = (
            f"{1 - found['wrong']['test'][who]:.2%}".replace("%", " %")
            for who in ("employees", "students")
        )
        card = (ROOT / f"export/lenet_export/models/{name}.md").read_text()
        assert f"none of whom trained | employees {employees}, students {students} |" in card
