"""The printed C is never wider than 100 columns, whatever the names and numbers in it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from few_bits import FEW_BITS, on_grids
from lenet_export.c_text import tidy
from lenet_export.cpus.registry import CPUS, choices, lay_out
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import wide

from .networks import LENET, named_model, random_model

TOP = "/* The comment at the top. */\n#include <stdint.h>\n"
CODE_ATTR = "DIGIT_READER_CODE_ATTR"
CHOICES = [(cpu, optimize) for cpu in CPUS for optimize in choices(cpu)]


@pytest.mark.parametrize(("cpu", "optimize"), CHOICES)
@pytest.mark.parametrize("kind", ["int8", "few bits", "float32"])
def test_no_line_is_wider_than_100_columns_and_no_blank_line_is_astray(
    kind, cpu, optimize, bundled
):
    few = kind == "few bits" or cpu == "atmega328p"
    model = on_grids(bundled, FEW_BITS["fc1 of 2 bits, rest 4"]) if few else bundled
    plan = make_plan(model, "float32" if kind == "float32" else "int8")
    if 0 < CPUS[cpu].program_memory < plan.constant_bytes:
        return
    prefix = "digit_reader"
    for name, data in render_c(lay_out(plan, cpu, optimize), Options(prefix)).items():
        if not name.endswith(".json"):
            lines = data.decode().splitlines()
            wide = [line for line in lines if len(line) > 100]
            # The preprocessor takes no line break; nor does the command that printed it.
            assert all(re.match(r"#| \* GENERATED FILE", line) for line in wide), wide
            assert not re.search(r"\n\n(\n| *\})", data.decode())
            # Each function and each table can be placed.
            bodies, places = (sum(line == of for line in lines) for of in ("{", CODE_ATTR))
            assert bodies == places and (bodies > 20 or name.endswith(".h"))
            tables = [line for line in lines if re.match(r"static const [^(]*( =|,)", line)]
            kept = "PROGMEM" if CPUS[cpu].program_memory else "DIGIT_READER_TABLE_ATTR"
            assert all(kept in line for line in tables) and (tables or name.endswith(".h"))


#: In all, each from 2 to 64.
LENGTHS = [range(2, 65, 4), *wide([range(3, 65, 4), range(4, 65, 4), range(5, 65, 4)])]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("cpu", ["generic", "cortex-m4", "x86-64-v4"])
def test_names_of_any_length_are_printed(cpu, lengths):
    plan = lay_out(make_plan(named_model("mlp"), "int8"), cpu, "speed")
    short = render_c(plan, Options("a"))["a.c"].decode()
    for length in lengths:
        prefix = "a" * length
        text = render_c(plan, Options(prefix))[f"{prefix}.c"].decode()
        # The same but for the name and where lines are broken, comments left aside.
        assert words(text, prefix) == words(short, "a")


@pytest.mark.parametrize("cpu", ["generic", "cortex-m4"])
def test_layers_have_names_of_any_length(cpu):
    for length in range(1, 61, 4):
        stages = [replace(stage, name=stage.name + "x" * length) for stage in LENET]
        plan = lay_out(make_plan(random_model(stages, (28, 28, 1)), "int8"), cpu, "speed")
        assert b"fc3" + b"x" * length in render_c(plan, Options())["lenet.c"]


def words(text, prefix):
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    code = re.sub(rf"\b{prefix}(?=[_.])|\b{prefix.upper()}(?=_)", "P", code)
    code = re.sub(r"P_EXPORT_\w+", "P_EXPORT", code)  # a hash over the text
    return re.sub(r"\s", "", code)


def tidied(text):
    assert tidy(TOP + text).startswith(TOP)
    return tidy(TOP + text).removeprefix(TOP)


@pytest.mark.parametrize(
    "text",
    [
        f"/* ---- Layers {'-' * 80} */\n",
        "/* Short. */\nint x; /* beside code */\n",
        "    /* A sentence.\n     *\n     * And a passage. */\n",
        "/* A sentence.\n *\n * And a passage.\n */\n",
        f"/* A list:\n *     {'wide ' * 30}\n *     of it. */\n",
        f'#error "{"wide " * 30}"\n',
    ],
)
def test_what_is_tidy_stays(text):
    assert tidied(text) == text


def test_comments_are_filled_from_a_period_to_the_next():
    word = "seventeen_letters"
    text = (
        f"    /* {' '.join([word] * 6)} ends. A\n     * sentence.\n     * Another\n     * one. */\n"
    )
    assert tidied(text) == (
        f"    /* {' '.join([word] * 5)}\n     * {word} ends. A sentence.\n     * Another one. */\n"
    )


def test_the_end_of_a_comment_goes_with_its_last_word():
    text = f"/* {'x' * 90} word. */\n"
    assert tidied(text) == f"/* {'x' * 90}\n * word. */\n"


def test_code_is_broken_where_the_fewest_brackets_are_open():
    head = f"static void {'f' * 40}(const int8_t *weight, int first, const int8_t *kernel, int n)"
    assert tidied(head) == (
        f"static void {'f' * 40}(const int8_t *weight, int first,\n"
        f"{' ' * 53}const int8_t *kernel, int n)"
    )
    acc = f"    int acc = first({'a' * 30}, {'b' * 20}) + second({'c' * 30}, {'d' * 20});"
    assert tidied(acc) == (
        f"    int acc = first({'a' * 30}, {'b' * 20}) +\n        second({'c' * 30}, {'d' * 20});"
    )
    choice = f"    x = ({'a' * 40} ? {'b' * 40} : {'c' * 40});"
    assert tidied(choice) == f"    x = ({'a' * 40} ? {'b' * 40}\n         : {'c' * 40});"


def test_more_than_one_break_stays_in_its_column():
    args = ", ".join(f"argument_{n:02}" for n in range(16))
    lines = tidied(f"    function({args});").splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert [len(line) - len(line.lstrip()) for line in lines] == [4, 13, 13]
    assert " ".join(line.strip() for line in lines) == f"function({args});"


def test_what_has_no_place_to_break_stays():
    assert tidied(f"int {'x' * 120};") == f"int {'x' * 120};"
