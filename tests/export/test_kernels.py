"""A kernel is one module: it computes what its white list names and tells its template the rest."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import flax.linen as nn
import jinja2
import numpy as np
import pytest

from few_bits import on_grids
from lenet_export import cli, compiled, export, layer_norm
from lenet_export.compiled import cpu_here, has_instructions_of
from lenet_export.cpus.kernel import GENERIC, POOLING, kernel_of
from lenet_export.cpus.registry import ALIASES, CPUS, choices, cpu_named, lay_out
from lenet_export.errors import UserError
from lenet_export.outputs.c import _context, _environment, render_c
from lenet_export.outputs.options import Options
from lenet_export.plan import make_plan
from needs import ROOT, require
from variables import drawn_for

from .networks import CHAINS, named_model

PACKAGE = ROOT / "export/lenet_export"
KERNELS = dict.fromkeys(
    kernel
    for cpu in CPUS.values()
    for kernels in cpu.kernels.values()
    for kernel in (GENERIC, POOLING, *kernels)
)


@pytest.fixture(scope="module")
def layers():
    """Layers of all chains, of integers, few bits and floats."""
    few = on_grids(named_model("lenet"), ("4", "2", "1", "ternary", "8"))
    models = [*map(named_model, CHAINS), few]
    plans = [make_plan(model, dtype) for model in models for dtype in ("int8", "float32")]
    return [layer for plan in plans for layer in plan.layers]


def test_every_kernel_computes_some_layer(layers):
    idle = [kernel for kernel in KERNELS if not any(map(kernel.suits, layers))]
    assert idle == []


@pytest.mark.parametrize("of", [{"kind": "transposed"}, {"pool": "lp"}], ids=str)
def test_a_kernel_refuses_a_kind_or_pool_that_it_has_not_heard_of(layers, of):
    strangers = [replace(layer, stage=replace(layer.stage, **of)) for layer in layers]
    for kernel in KERNELS:
        assert not any(kernel.computes(stranger) for stranger in strangers), kernel


def test_what_does_not_pay_is_still_right(layers):
    """Possible and worthwhile are two questions: a kernel that is not worthwhile would be right."""
    assert any(
        kernel.computes(layer) and not kernel.pays(layer) for kernel in KERNELS for layer in layers
    )


def test_no_kernel_is_asked_for_by_name_outside_its_module():
    names = {kernel.template for kernel in KERNELS} - {GENERIC.template, POOLING.template}
    # An instruction set may have the name of the kernel that uses it.
    asked = re.compile(rf"""(?<!Simd\()["']({"|".join(sorted(names))})["'](?!:)""")
    modules = (
        "blocked",
        "kronecker",
        "smlad",
        "smlad_places",
        "smlad_depthwise",
        "mve",
        "lanes",
        "dot_columns",
        "dot",
    )
    own = {f"cpus/{name}.py" for name in modules} | {"templates/c/kernels/dot.c.j2"}
    own |= {"evidence/kernels.py"}  # tells of each
    found = {
        str(path.relative_to(PACKAGE)): asked.findall(path.read_text())
        for path in PACKAGE.rglob("*")
        if path.suffix in (".py", ".j2") and str(path.relative_to(PACKAGE)) not in own
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("cpu", ["generic", "cortex-m3", "cortex-m4", "cortex-m55", "avr"])
def test_the_c_says_that_weights_are_copied_where_they_are(cpu):
    few = on_grids(named_model("lenet"), ("4", "4", "2", "4", "4"))
    text = render_c(lay_out(make_plan(few, "int8"), cpu, "speed"), Options())["lenet.c"].decode()
    assert ("are copied to RAM" in text) == ("_copy(int first" in text)


def test_a_template_is_told_by_its_kernel_and_not_by_filters():
    filters = _environment().filters
    modules = {name: getattr(filters[name], "__module__", "") for name in filters}
    assert [name for name in modules if modules[name].startswith("lenet_export.cpus")] == []
    assert modules["view"] == "lenet_export.outputs.c"


def test_all_that_the_templates_are_told_stands_in_one_of_them():
    plan = make_plan(named_model("lenet"), "int8")
    laid_out = [lay_out(plan, cpu, "speed") for cpu in CPUS if not CPUS[cpu].ram]
    told = {name for plan in laid_out for name in _context(plan, Options())}
    told |= {n for plan in laid_out for layer in plan.layers for n in kernel_of(layer).view(layer)}
    told |= _environment().filters.keys() - jinja2.Environment().filters.keys()
    templates = "".join(path.read_text() for path in (PACKAGE / "templates/c").rglob("*.j2"))
    assert told - {*re.findall(r"\w+", templates)} == set()


def test_the_plan_knows_the_kernel_itself():
    plan = lay_out(make_plan(named_model("lenet"), "int8"), "cortex-m4", "speed")
    assert all(kernel_of(layer) in KERNELS for layer in plan.layers)
    assert all(kernel_of(layer) == GENERIC for layer in make_plan(plan.model, "int8").layers)


@pytest.mark.parametrize("cpu", [cpu for cpu in CPUS if not CPUS[cpu].ram])
def test_a_layer_gets_the_first_kernel_that_suits_it(cpu):
    before = make_plan(named_model("lenet"), "int8")
    for optimize in choices(cpu):
        after = lay_out(before, cpu, optimize)
        for old, new in zip(before.layers, after.layers, strict=True):
            kernels = (*CPUS[cpu].kernels[optimize], kernel_of(new))
            assert kernel_of(new) == next(kernel for kernel in kernels if kernel.suits(old))


def test_a_core_or_chip_that_is_like_a_cpu_stands_for_it():
    assert not set(ALIASES) & set(CPUS)
    assert set(ALIASES.values()) < set(CPUS)
    assert cpu_named("Cortex-M7") == cpu_named("cortex_m33") == "cortex-m4"


@pytest.mark.parametrize(
    ("name", "cpu"),
    [
        ("uno", "atmega328p"),
        ("Nano_33_BLE", "cortex-m4"),
        ("esp32c3", "riscv32"),
        ("stm32f407vg", "cortex-m4"),
        ("samd21g18a", "cortex-m0"),
        ("nrf52840dk/nrf52840", "cortex-m4"),
        ("nrf5340dk/nrf5340/cpuapp", "cortex-m4"),
        ("rpi_pico/rp2040", "cortex-m0"),
        ("stm32z9", None),
        ("unox", None),
        ("cortex-m35", None),
        ("", None),
        ("/", None),
    ],
)
def test_boards_and_chips_of_a_family_are_known_by_their_names(name, cpu):
    assert cpu_named(name) == cpu


@pytest.mark.parametrize("alias", ["cortex-m7", "rp2040", "esp32-c3"])
def test_an_export_for_a_chip_is_that_for_its_cpu(alias, tmp_path):
    for name in (alias, ALIASES[alias]):
        assert cli.main(["--cpu", name, "--no-verify", "--out", str(tmp_path / name)]) == 0
    written = [(tmp_path / name / "lenet.c").read_bytes() for name in (alias, ALIASES[alias])]
    assert written[0] == written[1]
    assert f"--cpu {ALIASES[alias]}\n".encode() in written[0]


@pytest.mark.parametrize(
    ("name", "near"), [("cortex-m99", "cortex-m4"), ("rp2041", "rp2040"), ("esp32-c33", "esp32-c3")]
)
def test_an_unknown_cpu_is_told_what_is_near_and_what_there_is(name, near, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--cpu", name])
    told = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2
    question, _, rest = told.partition(f"invalid choice: '{name}' (choose ")[2].partition("? ")
    assert near in question.split(" or ")
    assert rest.startswith("one of generic, cortex-m0, ")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert {*ALIASES} <= {*re.findall(r"[\w+-]+", capsys.readouterr().out)}


def test_export_takes_and_refuses_the_same_names(tmp_path):
    module = nn.Sequential([nn.Dense(3)])
    params = drawn_for(module, (4,))
    with pytest.raises(UserError, match=r"cpu: is 'rp2041'\n.*give rp2040.*\? one of"):
        export(module, params, (2, 2, 1), tmp_path, cpu="rp2041")


def test_auto_is_the_fastest_cpu_of_this_machine(tmp_path):
    mine = cpu_here()
    fastest = "x86-64-v4", "x86-64-v3-vnni", "x86-64-v3"
    assert mine == next(filter(has_instructions_of, fastest), "generic")
    for name in ("auto", mine):
        assert cli.main(["--cpu", name, "--no-verify", "--out", str(tmp_path / name)]) == 0
    written = [(tmp_path / name / "lenet.c").read_bytes() for name in ("auto", mine)]
    assert written[0] == written[1]


def test_auto_is_plain_c_where_nothing_is_known(monkeypatch):
    def runs(*words):
        known = [compiled.NOTHING, *words]
        monkeypatch.setattr(compiled, "_runs", lambda text, _: any(of in text for of in known))

    runs()
    assert cpu_here() == "generic"
    runs("smlal")
    assert cpu_here() == "aarch64"
    runs("smlal", "sdot")
    assert cpu_here() == "aarch64-dotprod"
    runs("vsetivli")
    assert cpu_here() == "riscv64gcv"
    runs('"avx2"')
    assert cpu_here() == "x86-64-v3"
    runs('"avx2"', "vpdpbusd")
    assert cpu_here() == "x86-64-v3-vnni"


#: No compiler; one that makes no program; one that makes a program that cannot be run, as one for
#: another machine does.
OTHERS_COMPILERS = {
    "no-such-compiler": "is not installed",
    "false": "makes no program that this machine runs",
    "sh -c 'echo > $1; chmod +x $1'": "makes no program that this machine runs",
}


@pytest.mark.parametrize("command", OTHERS_COMPILERS)
def test_auto_needs_a_compiler_of_this_machine_and_says_so(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CC", command)
    assert cli.main(["--cpu", "AUTO", "--no-verify", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "--cpu auto: asks the machine by a C compiler; " in told
    assert OTHERS_COMPILERS[command] in told
    assert "or name the CPU" in told
    assert "--no-verify" not in told
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("cpu", "machine", "has"),
    [
        ("aarch64", "cortex-a53", True),
        ("aarch64-dotprod", "cortex-a53", False),
        ("aarch64-dotprod", "max", True),
    ],
)
def test_a_machine_tells_whether_it_has_dot_products(cpu, machine, has, tmp_path):
    (tmp_path / "runs.c").write_text(compiled._question_of_instruction(cpu))
    command = [
        require("aarch64-linux-gnu-gcc"),
        *CPUS[cpu].flags,
        "-static",
        "runs.c",
        "-o",
        "runs",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    emulator = [require("qemu-aarch64"), "-cpu", machine, "./runs"]
    done = subprocess.run(emulator, cwd=tmp_path, capture_output=True)
    assert (done.returncode == 0) == has


def printed(name, cpu):
    plan = lay_out(make_plan(named_model(name), "int8"), cpu, "speed")
    return render_c(plan, Options())["lenet.c"].decode()


def test_the_numbers_of_a_norm_are_what_their_formulas_give():
    text = printed("normed", "generic").partition("static int32_t inverse_root")[2]
    comment = re.sub(r"\n *\* ", " ", re.search(r"/\*(.*?)\*/", text, re.DOTALL)[1])
    told = re.findall(r"(\d+) = ([\d.]+) ([*/]) ([\d^]+)", comment)
    values = {
        int(number): float(left) * eval(right.replace("^", "**"))
        if how == "*"
        else float(left) / eval(right)
        for number, left, how, right in told
    }
    assert {15, layer_norm.START, layer_norm.SLOPE, 98304} == set(values)
    assert all(abs(number - value) < 1e-4 * number for number, value in values.items())
    x = np.linspace(1, 4, 1000)
    line = (layer_norm.START - layer_norm.SLOPE * x) / 2**15
    assert 0.08 < np.abs(line * np.sqrt(x) - 1).max() < 0.09


@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m4", "cortex-m55", "riscv32"])
def test_no_loop_over_blocks_has_one_turn_and_sums_say_their_axes(cpu):
    for name in ("lenet", "deep"):
        text = printed(name, cpu)
        loops = re.findall(r"for \(int first = 0; first < (\d+); first(?:\+\+| \+= (\d+))\)", text)
        assert all(int(end) > int(step or 1) for end, step in loops)
        declared = re.findall(r"^ +u?int32_t (?:sums|part)((?:\[\d+\])+);(.*)$", text, re.M)
        assert declared
        for sizes, axes in declared:
            said = re.fullmatch(r" /\* ((?:\[\w+\])+) \*/", axes)
            # Vectors read a whole array of eight channels at each place.
            assert said[1].count("[") == (2 if cpu == "cortex-m55" else sizes.count("["))
