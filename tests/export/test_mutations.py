"""A wrong template is found: each mutation makes the verification or the contract fail."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import re
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pytest

import shared
from few_bits import on_grids
from lenet_export import compiled, verify
from lenet_export.checkpoint import GRIDS
from lenet_export.compiled import CompiledNetwork
from lenet_export.cpus import blocked, operands
from lenet_export.cpus.registry import lay_out
from lenet_export.errors import UserError
from lenet_export.outputs import c as render
from lenet_export.outputs.bounds import bounds_of
from lenet_export.plan import make_plan
from needs import ROOT, wide

from . import audit
from .networks import (
    ACCEPTED,
    MISCOUNTED,
    PASSED,
    RUNNING,
    at_the_limits,
    faults_that_are_accepted,
    named_model,
    new_test,
    results_of,
    rows_given,
    steps_of,
    verdict_of,
    verdicts_of,
)
from .test_parity import can_run

INT32_MAX = 2**31 - 1
FOLDER = Path(str(files("lenet_export"))) / "templates/c"
#: By its path in the folder.
TEMPLATES = {
    str(path.relative_to(FOLDER)): path.read_text()
    for path in FOLDER.rglob("*")
    if path.suffix in (".j2", ".c")
}

#: (template, what stands there, what the mutation makes of it)
MUTATIONS = {
    "mean not rounded": ("avg", "sum + {{ v.half_window }}", "sum"),
    "mean rounded up": ("avg", "{{ v.half_window }}", "{{ v.window }} - 1"),
    "no clamp below": ("int8", " & (uint32_t)kept", ""),
    "no clamp above": ("int8", "(index | (uint32_t)filled) & top", "index"),
    "clamp one too low": ("int8", "& top);", "& (top - 1));"),
    "shift one less": ("int8", ">> shift", ">> (shift - 1)"),
    "gain of another channel": ("int8", '"_gain[" ~ channel ~ "]"', '"_gain[0]"'),
    "table off by one": ("int8", 'activation.top ~ ")]"', 'activation.top ~ ") ^ 1]"'),
    "assumptions that hold anyway": ("lenet", "[(condition) ? 1 : -1]", "[1]"),
    "least that is the most": ("tables", "bound.least | spaced", "bound.most | spaced"),
    "most that is the least": ("tables", "bound.most | spaced", "bound.least | spaced"),
    "bounds of the first layer alone": ("tables", "bound in bounds", "bound in bounds[:2]"),
    "any header will do": ("lenet", "#ifndef LENET_EXPORT_{{ pair }}", "#if 0"),
    "answers not compared": (
        "lenet",
        '!= {{ answers_crc | trained("ANSWERS_CRC") }}',
        "!= 0",
    ),
    "padding not cleared": ("lenet", "layer.strip_rows | product(layer.strip_values)", "1"),
    "inner border not cleared": (
        "lenet",
        "place_in(layer), layer.strip_values",
        "place_in(layer), 0",
    ),
    "border of code 0": ("lenet", '{{ layer | border | trained("BORDER", layer.name) }}', "0"),
    "no border below": ("lenet", "i < {{ layer.rows_padded }}", "i < {{ layer.rows_given }}"),
    "border one row short": ("lenet", "i < {{ layer.rows_p", "i + 1 < {{ layer.rows_p"),
    "border at another row": ("lenet", "y == {{ layer | last_row }}", "y == 0"),
    "image shifted": ("lenet", "plus(first.left)", "plus(first.left + 1)"),
    "image rows shifted": ("lenet", "plus(first.above) | p", "plus(first.above + 1) | p"),
    "row 28 not refused": ("lenet", "if (ws->row < {{ rows }}u)", "if (ws->row <= {{ rows }}u)"),
    "rows not reset": ("lenet", "    ws->row = 0;\n", ""),
    "rows not filled up": ("lenet", "while (ws->row < {{ rows }}u)", "while (ws->row < 1u)"),
    "of equals the largest": ("int8", "logits[o] > logits[best]", "logits[o] >= logits[best]"),
    "second is first": ("int8", "o != except && ", ""),
    "zero is never second": ("lenet", "int best = 0;", "int best = 1;"),
    "accepted above only": ("int8", "}} < LENET", "}} <= LENET"),
    "gap wraps": ("int8", "gap < 0x80000000u ? (int32_t)gap : INT32_MAX", "(int32_t)gap"),
    "gap of signs": ("int8", "(uint32_t)logits[digit] ^ 0x80000000u", "(uint32_t)logits[digit]"),
    "rows to come not reset": ("lenet", "    ws->left = {{ rows }};\n", ""),
    "rows to come not counted": ("lenet", "    ws->left = (uint16_t)(ws->left - 1u);\n", ""),
    "rows too many not told": ("lenet", "        ws->left = 1;", "        (void)1;"),
    "rows too few not told": ("lenet", "        ws->left = 2;", "        (void)2;"),
    "rows given not compared": ("lenet", "ws->row == {{ rows }}u && ", ""),
    "rows to come not compared": ("lenet", " && ws->left == 0u", ""),
    "none of these is a digit": ("lenet", "classes = plan.classes ~", "classes = plan.outputs ~"),
    "none of these is no rival": ("lenet", '(plan.outputs ~ ", "', '(plan.classes ~ ", "'),
    "none of these is unsure": ("lenet", "gap < 0)", "gap < -2000000000)"),
    "ink not reset": ("lenet", "    ws->{{ counter.name }} = {{ (", "    (void){{ ("),
    "ink of one pixel less": (
        "lenet",
        "ink_of(row, {{ row_bytes }}",
        "ink_of(row + 1, {{ row_bytes }} - 1",
    ),
    "ink least one more": ("lenet", "ws->ink, {{ plan.ink.least", "ws->ink, 1 + {{ plan.ink.least"),
    "ink most one less": ("lenet", "reaches({{ plan.ink.most", "reaches(-1 + {{ plan.ink.most"),
    "ink share not rounded": ("lenet", "((ws->ink >> 8) + 1u)", "(ws->ink >> 8)"),
    "ink nowhere dark": ("lenet", " & ((uint32_t)ws->dark >> 8)", ""),
    "ink rise one more": ("lenet", "pixels[k] + rise", "pixels[k] + rise + 1"),
    "ink border one row less": (
        "lenet",
        "ws->row < {{ ink_rows_end }}",
        "ws->row <= {{ ink_rows_end }}",
    ),
    "ink border one row more": ("lenet", "ws->row >= {{ plan", "ws->row > {{ plan"),
    "ink border one pixel on": ("lenet", "row + {{ ink_left }}", "row + 1 + {{ ink_left }}"),
    "ink too little is outside": ("lenet", "(is_enough & (is_inside", "((is_inside"),
    "what is known so far forgotten": ("lenet", "verdict = so_far;", "verdict = LENET_ACCEPTED;"),
    "CRC polynomial": ("lenet", "0x82F63B78", "0x82F63B79"),
    "CRC not inverted": ("lenet", "crc ^ 0xFFFFFFFFu) != {{ b", "crc ^ 0) != {{ b"),
    "CRC less the first": ("lenet", "constants %}\n    {{", "constants[1:] %}\n    {{"),
    "table behind a table": ("lenet", "    test->place -= (int32_t)count;\n", ""),
    "step without end": ("lenet", "        test->left--;\n", ""),
    "other known images": ("lenet", "* n & 255", "* (n + 1) & 255"),
    "digit not known": ("int8", "= reading.digit", "= 0"),
    "rows gone not seen": ("lenet", " || (uint16_t)(ws->left + test->row) != 0", ""),
    "test's rows as a reading's": (
        "lenet",
        "            ws->left = 0;\n",
        "            ws->left = 9;\n",
    ),
    "a test that never begins anew": ("lenet", "            lenet_self_test_begin(test);\n", ""),
    "self-test always fails": (
        "lenet",
        "return LENET_SELF_TEST_PASSED",
        "return LENET_SELF_TEST_ANSWERS",
    ),
    "strip read one row on": ("generic", "[top + i]", "[top + i + 1]"),
    "strip moves on too early": (
        "lenet",
        "if (r < {{ layer.strip_rows",
        "if (r + 1 < {{ layer.strip_rows",
    ),
    "strip moves at the wrong rows": ("lenet", "(r - {{ layer.strip_rows }}) %", "(r + 1) %"),
    "strip's last row stays": (
        "lenet",
        "i < {{ layer.rows_moved }}",
        "i + 1 < {{ layer.rows_moved }}",
    ),
    "strip's last value stays": (
        "lenet",
        "}}], {{ layer.strip_values }});",
        "}}], {{ layer.strip_values }} - 9);",
    ),
    "strip moves by another step": ("lenet", "plus(layer.row_step) }}], {{", "plus(1) }}], {{"),
    "strip written one on": ("layers", "plus(following.above)", "plus(following.above + 1)"),
    "strip written left": ("layers", "plus(following.left)", "plus(following.left + 1)"),
    "kernel one row short": ("generic", "{{ layer.stage.kernel[0] }}; i", "1; i"),
    "kernel one value short": ("generic", "j < {{ layer.kernel", "j + 1 < {{ layer.kernel"),
    "dense one input short": ("generic", "k < {{ layer.inputs }}", "k + 1 < {{ layer.inputs }}"),
    "bias left out": ("generic", 'v.bias("o")', '"0"'),
    "channels swapped": (
        "pools",
        '~ " + " ~ channel ~ "]"',
        '~ " + " ~ (channels - 1) ~ " - (" ~ channel ~ ")]"',
    ),
    "pool of wrong rows": ("generic", 'window_top("i")', 'window_top("j")'),
    "maximum is minimum": ("max", "(uint32_t)kept", "~(uint32_t)kept"),
    "float mean": ("avg", "sum / {{ v.window }}.0f", "sum / 5.0f"),
    "float answers compared wrong": ("float32", "return off <", "return off >"),
    "exp squared too little": ("float32_activations", "square < 4", "square < 3"),
    "exp one term short": ("float32_activations", "1.0f / 6.0f", "0.0f"),
    "float maximum is minimum": ("max", "value > most", "value < most"),
    "float maximum from 0": ("max", "-3.4e38f", "0"),
    "float tanh of half": ("float32_activations", "sigmoid(2.0f * z)", "sigmoid(z)"),
    "float gelu less its cube": ("float32_activations", "0.044715f", "0.0f"),
    "float scaled tanh not scaled": ("float32_activations", "1.7159f *", "1.0f *"),
    "norm not of all channels": (
        "int8",
        "c < {{ layer.stage.features }}; c++) {\n        acc[c] -=",
        "c < 1; c++) {\n        acc[c] -=",
    ),
    "norm's mean not rounded": (
        "int8",
        ' + {{ layer.norm.half | trained("HALF", layer.name) }}',
        "",
    ),
    "norm's drop lost": ("int8", '>> {{ layer.norm.drop | trained("DROP", layer.name) }}', ">> 1"),
    "norm without epsilon": (
        "int8",
        'squares = {{ layer.norm.least | trained("LEAST", layer.name) }}',
        "squares = 1",
    ),
    "norm's root one step short": ("int8", "step < {{ layer_norm.STEPS }}", "step < 1"),
    "norm's gain of channel 0": ("int8", '"_norm_gain[c]"', '"_norm_gain[0]"'),
    "norm's bias of channel 0": ("int8", '"_norm_bias[c]"', '"_norm_bias[0]"'),
    "norm left out": ("layers", "{{ layer.name }}_normalize(sums);\n{%- else", "{%- else"),
    "dense norm left out": ("layers", "    {{ layer.name }}_normalize(sums);\n", ""),
    "float norm's gain of channel 0": ("float32", '"_norm_gain[c]"', '"_norm_gain[0]"'),
    "float norm's root too coarse": ("float32", "step < 4", "step < 1"),
    "float relu leaks": ("float32_activations", "z : 0.0f", "z : 0.1f * z"),
}
#: The same for the templates of tuned kernels, by the kind of number and what they are printed for:
#: a CPU, and what is put first if not speed.
TUNED = {
    "block of another channel": (
        "int8",
        "cortex-m3",
        "layers",
        "v.bias(output.number)",
        'v.bias("0")',
    ),
    "block's place swapped": ("int8", "riscv32", "blocked", "plus(place.offset)", "plus(0)"),
    "block's stride lost": ("int8", "cortex-m3", "blocked", "p | product(layer.stage.stride)", "p"),
    "pairs' stride lost": (
        "int8",
        "cortex-m4",
        "smlad",
        "strip_values | product(layer.stage.stride)",
        "strip_values",
    ),
    "vectors' stride lost": (
        "int8",
        "cortex-m55",
        "mve",
        "strip_values | product(layer.stage.stride)",
        "strip_values",
    ),
    "block's row swapped": (
        "int8",
        "cortex-m3",
        "blocked",
        'signed("in" ~ place.row ~ "[" ~ (',
        'signed("in0[" ~ (',
    ),
    "block's weights swapped": (
        "int8",
        "cortex-m3",
        "blocked",
        ' | plus(output.index)) ~ "]"',
        ') ~ "]"',
    ),
    "block's left lost": ("int8", "cortex-m3", "blocked", "+ left{{", "{{"),
    "next block read": (
        "int8",
        "cortex-m3",
        "layers",
        'else "sums[i]["',
        'else "sums[0]["',
    ),
    "channels of the first block": (
        "int8",
        "cortex-m3",
        "layers",
        '{{ "first" if not v.outputs[1:] else "c" if v.counts_channels else "first + c" }}',
        "c",
    ),
    "part of a window read again": (
        "int8",
        "cortex-m3",
        "layers",
        "acc = sums[p][c][q]",
        "acc = sums[0][c][q]",
    ),
    "parts of a window lost": ("int8", "cortex-m4", "avg", "}} += {{", "}} = {{"),
    "normed sums of another place": (
        "int8",
        "cortex-m4",
        "layers",
        "sums[p][q][first + c] =",
        "sums[0][q][first + c] =",
    ),
    "normed sums of the first block": (
        "int8",
        "cortex-m3",
        "layers",
        "[first + c] = part",
        "[c] = part",
    ),
    "saturated to fewer bits": (
        "int8",
        "cortex-m3",
        "int8",
        "| bit_length }});",
        "| bit_length }} - 1);",
    ),
    "pair read one on": (
        "int8",
        "cortex-m4",
        "smlad",
        "plus(place.offset) }})",
        "plus(place.offset) }} + 1)",
    ),
    "pair's last value lost": (
        "int8",
        "cortex-m4",
        "smlad",
        "{{ layer.kernel_values }}; j += 2",
        "{{ layer.kernel_values }} - 1; j += 2",
    ),
    "a sum that begins with 0": ("int8", "cortex-m4", "kronecker", "= (uint32_t)1 << 20", "= 0"),
    "both rows of the first": ("int8", "cortex-m4", "kronecker", '"(i + 1)"', '"i"'),
    "words of the last step lost": (
        "int8",
        "cortex-m4",
        "kronecker",
        "while (in < end)",
        "while (in + 1 + {{ channels }} < end)",
    ),
    "code of an odd column lost": ("int8", "cortex-m4", "lenet", "*word | code << up", "*word"),
    "even column twice": ("int8", "cortex-m4", "lenet", "row[x + 1] <<", "row[x] <<"),
    "even unit off": (
        "int8",
        "cortex-m4",
        "simd/dsp",
        "(uint32_t)both - (uint32_t)odd",
        "(uint32_t)both",
    ),
    "odd bytes of the quad lost": ("int8", "cortex-m4", "smlad_bytes", "codes >> 8", "codes"),
    "codes not less 128": (
        "int8",
        "cortex-m55",
        "simd/helium_int8",
        "vdupq_n_u8(128)",
        "vdupq_n_u8(0)",
    ),
    "four codes twice": ("int8", "cortex-m55", "simd/helium_int8", "vshrq_n_u32(low, 16)", "low"),
    "biases of the first four": ("int8", "cortex-m55", "simd/helium_int8", "(bias + 4)", "(bias)"),
    "sums of the first place": ("int8", "cortex-m55", "mve", "sums + 8 * place", "sums"),
    "gains of another group": (
        "int8",
        "cortex-m55",
        "mve",
        '"_gain[" ~ v.group ~ "]"',
        '"_gain[0]"',
    ),
    "vectors of the same row": ("int8", "cortex-m55", "mve", "in += {{ layer.strip_values }};", ""),
    "index beyond the table": (
        "int8",
        "cortex-m55",
        "simd/helium_int8",
        "vminq_u16(index, vdupq_n_u16((uint16_t)last))",
        "index",
    ),
    "taps of another row": (
        "int8",
        "cortex-m55",
        "mve_taps",
        "in += {{ layer.strip_values | product(layer.stage.stride) }};",
        "",
    ),
    "vector's last values lost": (
        "int8",
        "cortex-m55",
        "mve",
        "j < {{ layer.kernel_values }}",
        "j < 1",
    ),
    "taps of another column": ("int8", "cortex-m55", "mve_taps", "{{ gather.base }}", "in"),
    "odd values of a place lost": ("int8", "cortex-m4 flash", "smlad_bytes", '" >> 8" if', '"" if'),
    "place of another column": (
        "int8",
        "cortex-m4 flash",
        "smlad_bytes",
        "plus(place.offset)",
        "plus(0)",
    ),
    "last four values lost": (
        "int8",
        "cortex-m4 flash",
        "smlad_bytes",
        "j < {{ layer.kernel_values }}",
        "j + 4 < {{ layer.kernel_values }}",
    ),
    "shift by bytes off": ("int8", "avr", "int8", "(shift - 16u)", "(shift - 15u)"),
    "all but the last part of a product lost": (
        "int8",
        "attiny85",
        "products",
        "product += value;",
        "product = value;",
    ),
    "numbers' first bytes hashed only": (
        "int8",
        "avr",
        "int8",
        "numbers)[k]",
        "numbers)[k / 4 * 4]",
    ),
    "value of a gain's bit not doubled": ("int8", "attiny85", "products", "value <<= 1;", ""),
    "weight of the other sign": (
        "int8",
        "attiny85",
        "products",
        "weight < 0 ? (uint16_t)-code : code",
        "code",
    ),
    "last quad lost": (
        "int8",
        "cortex-m4",
        "smlad_bytes",
        "k < {{ layer.inputs }}",
        "k + 4 < {{ layer.inputs }}",
    ),
    "lanes beyond the last": (
        "int8",
        "x86-64-v4",
        "simd/avx512_int8",
        "(1 << count) - 1",
        "(1 << count) - 2",
    ),
    "a code in another byte": (
        "int8",
        "riscv64gcv",
        "simd/rvv_int8",
        "(cd, 16, 16)",
        "(cd, 8, 16)",
    ),
    "last lanes of another place": (
        "int8",
        "x86-64-v3-vnni",
        "simd/avxvnni_int8",
        "bsrli_si128(eight, 4)",
        "bsrli_si128(eight, 3)",
    ),
    "columns not folded": ("int8", "x86-64-v4", "lanes", ", {{ lanes }}))", ", 0))"),
    "codes of both windows": ("int8", "x86-64-v4", "lanes", "{{ part.weights }}", "0x01010101"),
    "gain of another vector": (
        "int8",
        "x86-64-v4",
        "lanes",
        '"_gain[" ~ acc.vector ~ "]"',
        '"_gain[0]"',
    ),
    "another half of the table": (
        "int8",
        "x86-64-v4",
        "simd/avx512_int8",
        "set1_epi8(1)",
        "set1_epi8(2)",
    ),
    "another quarter": (
        "int8",
        "x86-64-v4",
        "simd/avx512_int8",
        "movepi8_mask(low)",
        "movepi8_mask(high)",
    ),
    "no clamp below": (
        "int8",
        "x86-64-v4",
        "simd/int8",
        "larger_lanes(index, broadcast(0))",
        "index",
    ),
    "no clamp above": (
        "int8",
        "x86-64-v3",
        "simd/int8",
        "broadcast(top)",
        "broadcast(2 * top + 1)",
    ),
    "mean not rounded": ("int8", "x86-64-v3", "simd/int8", "add(sum, broadcast(half))", "sum"),
    "last pixel lost": (
        "int8",
        "x86-64-v4",
        "simd/avx512_int8",
        "(count - k)) - 1u :",
        "(count - k)) / 2u :",
    ),
    "border not cleared": (
        "int8",
        "x86-64-v4",
        "simd/avx512_int8",
        "*(volatile __m256i_u *)(void *)(values + k) = many;",
        ";",
    ),
    "part of the table lost": ("int8", "x86-64-v3", "simd/avx2_int8", "part < 128", "part < 112"),
    "parts not told apart": (
        "int8",
        "x86-64-v3",
        "simd/avx2_int8",
        "before = here",
        "before = broadcast(0)",
    ),
    "half of the table twice": (
        "int8",
        "x86-64-v3",
        "simd/avx2_int8",
        "entries(table + 384",
        "entries(table + 256",
    ),
    "lower half as the upper": (
        "int8",
        "x86-64-v3",
        "simd/avx2_int8",
        "epi16(ab, 15)",
        "epi16(cd, 15)",
    ),
    "codes in other lanes": ("int8", "x86-64-v3", "simd/avx2_int8", "(0, 4, 8, 12", "(4, 0, 8, 12"),
    "last code not stored": (
        "int8",
        "x86-64-v3",
        "simd/avx2_int8",
        "4; c < count",
        "4; c + 1 < count",
    ),
    "pixels after the eighths": (
        "int8",
        "x86-64-v3",
        "simd/avx2_int8",
        "row != NULL ? row[k]",
        "row != NULL ? row[0]",
    ),
    "value of another place": (
        "float32",
        "x86-64-v4",
        "lanes",
        "(j | plus(place.offset))",
        "(j | plus(0))",
    ),
    "inputs one short": (
        "float32",
        "x86-64-v4",
        "lanes",
        "k < {{ stretch.end }}",
        "k + 1 < {{ stretch.end }}",
    ),
    "values of another place": (
        "float32",
        "aarch64",
        "lanes",
        "{{ place.source }} + {{ j | plus(place.offset) }}",
        "{{ place.source }} + {{ j | plus(0) }}",
    ),
    "value of another group": (
        "int8",
        "aarch64",
        "lanes",
        'place.value ~ ", " ~ group',
        'place.value ~ ", 0"',
    ),
    "what whole loads leave lost": (
        "int8",
        "aarch64",
        "lanes",
        "in v.stretches",
        "in v.stretches[:1]",
    ),
    "codes not less": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "less = vdupq_n_u8(128)",
        "less = vdupq_n_u8(0)",
    ),
    "codes stored as they are": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "veorq_u8(codes, vdupq_n_u8(128))",
        "codes",
    ),
    "weights of another group": (
        "int8",
        "aarch64-dotprod",
        "dot_columns",
        "{{ product.lane }}, {{ step.name }}",
        "0, {{ step.name }}",
    ),
    "lower rows with another bias": (
        "int8",
        "aarch64-dotprod",
        "dot_columns",
        "{{ channel.acc }}_1 = {{ channel.acc }}_0;",
        "{{ channel.acc }}_1 = bias0;",
    ),
    "weights of vectors before": (
        "int8",
        "aarch64-dotprod",
        "dot_columns",
        '{{ "" | plus(load.offset) }}',
        "",
    ),
    "windows by channel": (
        "int8",
        "aarch64-dotprod",
        "dot_columns",
        "vqtbl1q_u8(codes, vld1q_u8(order))",
        "codes",
    ),
    "neighbours of one column": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "{0, 1, 2, 3, 1, 2,",
        "{0, 1, 2, 3, 0, 2,",
    ),
    "fifth of two rows twice": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "vzip1q_s64(fifths(a, b), fifths(c, d))",
        "vzip1q_s64(fifths(a, b), fifths(a, b))",
    ),
    "half of the rows": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "vextq_u16(sums, sums, 4)",
        "vextq_u16(sums, sums, 0)",
    ),
    "one of four stored twice": (
        "int8",
        "aarch64-dotprod",
        "lanes",
        'four.outputs %}{{ "mean(" ~ output.name',
        'four.outputs %}{{ "mean(" ~ four.outputs[0].name',
    ),
    "end of four lost": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "to += 8, count -= 8;",
        "to += 8, count -= 9;",
    ),
    "last part as the third": ("int8", "aarch64", "simd/neon_int8", "first + 192", "first + 128"),
    "lanes out of order": ("int8", "aarch64", "simd/neon_int8", "{0, 4, 8, 12", "{4, 0, 8, 12"),
    "lower half not mirrored": (
        "int8",
        "aarch64-dotprod",
        "simd/neon_int8",
        "veorq_u8(code, is_below)",
        "code",
    ),
    "lower half for both": (
        "int8",
        "aarch64",
        "simd/neon_int8",
        "entries(table + 256, place), entries",
        "entries(table, place), entries",
    ),
    "index from half the product": (
        "int8",
        "aarch64-dotprod",
        "simd/neon_int8",
        "n_s32(31 - shift)",
        "n_s32(30 - shift)",
    ),
    "mean of half as many": (
        "int8",
        "aarch64",
        "simd/neon_int8",
        "(sum), vdupq_n_s32(-shift)",
        "(sum), vdupq_n_s32(1 - shift)",
    ),
    "last pixels not copied": (
        "int8",
        "aarch64-dotprod",
        "simd/dotprod_int8",
        "row + count - 16",
        "row + count - 17",
    ),
    "counted pixels again": (
        "int8",
        "aarch64",
        "simd/neon",
        "(15 - (count - k))",
        "(14 - (count - k))",
    ),
    "a term of exp": ("float32", "x86-64-v4", "simd/float32", "0.24024745f", "0.25f"),
    "exp not scaled": ("float32", "x86-64-v4", "simd/float32", "times_power_of_2(e, n)", "e"),
    "exp scaled too little": ("float32", "x86-64-v3", "simd/avx2_float32", "(n), 23)", "(n), 22)"),
    "sigmoid cut short": (
        "float32",
        "x86-64-v3",
        "simd/float32",
        "broadcast(16.0f)",
        "broadcast(1.0f)",
    ),
    "mean of too many": ("float32", "x86-64-v3", "lanes", "{{ v.window }}.0f", "5.0f"),
    "columns of the left": ("float32", "x86-64-v4", "columns", "plus(v.lanes)", "plus(0)"),
    "row of the window lost": ("float32", "x86-64-v4", "columns", "p > 0 ?", "p > 1 ?"),
    "row of another place": ("float32", "x86-64-v3", "columns", "top + p + i", "top + i"),
    "column of the window twice": (
        "float32",
        "x86-64-v3",
        "columns",
        "window[{{ q }}]",
        "window[0]",
    ),
    "columns from another x": ("float32", "x86-64-v3", "columns", "(x + place)", "place"),
}
#: The same where weights have few bits, and for an AVR's copies of weights.
FEW = {
    "word not moved on": ("cortex-m3", "weights", "word >>= {{ v.field_bits }};", ""),
    "word's last value lost": (
        "cortex-m3",
        "weights",
        "n < {{ index | plus(layer.layout.packing.values) }}",
        "n + 1 < {{ index | plus(layer.layout.packing.values) }}",
    ),
    "row's last value lost": ("cortex-m3", "weights", "n < {{ count }}", "n + 1 < {{ count }}"),
    "row's words read one on": ("riscv32", "weights", 'weight[" ~ (', 'weight[1 + " ~ ('),
    "total of nothing": ("cortex-m3", "weights", "total += in[k];", ""),
    "total of all but one": (
        "avr",
        "weights",
        "k < {{ layer.inputs }}",
        "k + 1 < {{ layer.inputs }}",
    ),
    "fields of another unit": (
        "cortex-m55",
        "mve_fields",
        "{{ product.acc }} = vmladavaq_s8({{ product.acc }}",
        "{{ v.products[0].acc }} = vmladavaq_s8({{ v.products[0].acc }}",
    ),
    "fields not moved on": (
        "cortex-m55",
        "mve_fields",
        "weight += {{ v.vectors | product(16) }};",
        "weight += {{ v.vectors | product(8) }};",
    ),
    "fields' upper bits kept": (
        "cortex-m55",
        "mve_fields",
        "vdupq_n_u8({{ v.mask }})",
        "vdupq_n_u8(255)",
    ),
    "fields of the first 16 inputs": (
        "cortex-m55",
        "mve_fields",
        '{{ "k" | plus(value.offset) }}',
        "k",
    ),
    "total of whole vectors": (
        "cortex-m55",
        "simd/helium_int8",
        "vctp8q((uint32_t)(count - k))));",
        "vctp8q(16)));",
    ),
    "nothing repaid": (
        "cortex-m55",
        "mve_fields",
        "repaid = {{",
        "repaid = 0 * {{",
    ),
    "bit says the contrary": ("avr", "blocked", "if ({{", "if (!({{ v.selected(0) }}) && {{"),
    "copy of another channel": (
        "cortex-m3",
        "weights",
        'weights("first" | over(outputs | length))',
        'weights("0")',
    ),
    "copy not moved on": ("cortex-m3", "weights", "*kernel++ =", "*kernel ="),
    "kernel not moved on": ("avr", "copied", "kernel += {{ layer.kernel_values }};", ""),
    "copied place swapped": ("avr", "copied", '"j" | plus(place.offset)', '"j"'),
    "copied row swapped": ("avr", "layers", 'window_top("i")', "window_top()"),
    "input's row not moved on": ("avr", "copied", "in += {{ layer.strip_values }};", ""),
    "sums without bias": ("avr", "copied", "= bias;", "= 0;"),
    "row's sum lost": ("avr", "copied", "+= {{ place.sum }}", "= {{ place.sum }}"),
    "weights of a word by the same bits": ("attiny85", "dot", "word >> {{ v.bits }}", "word"),
    "word not moved on to": ("attiny85", "dot", '"words[k / "', '"words[0 * "'),
    "word not read again": ("attiny85", "dot", "k % {{ v.per_word }} == 0", "k == 0"),
    "kernel of one row": ("attiny85", "dot", "[top + i] + left", "[top] + left"),
    "sum of the last row alone": ("attiny85", "dot", "{{ v.count }}, acc);", "{{ v.count }}, 0);"),
    "unit without its bias": ("attiny85", "dot", '", " ~ v.bias("o")', '", 0"'),
}
#: The same of pools of their own and depthwise convolutions, as :data:`TUNED`.
KINDS = {
    "window of one row": ("int8", "generic", "pooling", "i < {{ rows }}", "i < 1"),
    "window of one column": ("float32", "generic", "pooling", "j < {{ columns }}", "j < 1"),
    "window of channel 0": ("int8", "generic", "pooling", "(channels)) }} + c;", "(channels)) }};"),
    "window's stride lost": (
        "int8",
        "avr",
        "pooling",
        "layer.column_step | product",
        "1 | product",
    ),
    "window's columns not apart": ("int8", "generic", "pooling", '"j" | times(channels)', '"j"'),
    "window of another row": ("int8", "cortex-m0", "pooling", "[{{ v.window_row }}]", "[i / 2]"),
    "depthwise of channel 0": ("int8", "generic", "generic", '[" ~ v.tap ~ "]"', '[left + j]"'),
    "depthwise of block 0": ("int8", "cortex-m3", "blocked", '" + first" if', '"" if'),
    "depthwise of one column": ("int8", "cortex-m3", "blocked", 'own_value("j"', 'own_value("0"'),
    "depthwise of one place": (
        "float32",
        "cortex-m3",
        "blocked",
        '"in" ~ place.row ~ "[" ~ v.own',
        '"in0[" ~ v.own',
    ),
    "second place at the first": (
        "int8",
        "cortex-m4",
        "smlad_places",
        "plus(v.outputs[0].places[q].offset)",
        "plus(0)",
    ),
    "biases of pairs lost": (
        "int8",
        "cortex-m4",
        "smlad_places",
        "(uint32_t){{ v.bias(pair.even_number) }} << 8",
        "(uint32_t){{ v.bias(pair.even_number) }} << 7",
    ),
    "row of the kernel twice": (
        "int8",
        "cortex-m4",
        "smlad_places",
        "        in += {{ layer.strip_values }};",
        "",
    ),
    "second part of a row at the first": (
        "int8",
        "cortex-m4",
        "smlad_places",
        "        weight += {{ v.turns",
        "        weight += 0 * {{ v.turns",
    ),
    "a code in the other column": ("int8", "cortex-m4", "smlad_places", '"q") }}', '"q + 1") }}'),
    "right output of the left's weights": (
        "int8",
        "cortex-m4",
        "smlad_depthwise",
        "{{ product.weight }}",
        "w0",
    ),
    "half of another column": (
        "int8",
        "cortex-m4",
        "smlad_depthwise",
        "__{{ product.by }}",
        "__smlad",
    ),
    "depthwise row twice": (
        "int8",
        "cortex-m4",
        "smlad_depthwise",
        "        in += {{ layer.strip_values }};",
        "",
    ),
    "second of two outputs lost": (
        "int8",
        "cortex-m4",
        "smlad_depthwise",
        "q < {{ outputs }}; q++",
        "q < {{ outputs }}; q += 2",
    ),
    "hard sigmoid not cut": (
        "float32",
        "generic",
        "float32_activations",
        "cut < 6.0f ? cut : 6.0f",
        "cut",
    ),
    "leaky relu does not leak": ("float32", "generic", "float32_activations", "slope * z", "0.0f"),
}
#: What prints how a weight is read: a CPU, and a function that is not in a template.
READING = {
    "field of another output": (
        "cortex-m3",
        operands,
        "_field",
        lambda old: lambda packing, output: old(packing, output ^ 1),
    ),
    "weight off by one": (
        "generic",
        operands,
        "_unpacked",
        lambda old: lambda grid, place: f"{old(grid, place)} + 1",
    ),
    "values of a word swapped": (
        "avr",
        blocked,
        "packed",
        lambda old: lambda packing, weight: old(packing, weight[..., ::-1, :]),
    ),
}


class CompiledTemplates(jinja2.BytecodeCache):
    """The templates as Python, by their names and checksums: a mutation changes one of them."""

    def __init__(self):
        self.found = {}

    def load_bytecode(self, bucket):
        if (bucket.key, bucket.checksum) in self.found:
            bucket.bytecode_from_string(self.found[bucket.key, bucket.checksum])

    def dump_bytecode(self, bucket):
        self.found[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


COMPILED = CompiledTemplates()


@pytest.fixture(autouse=True, scope="module")
def unoptimized():
    """A mutation is found in whatever is compiled the fastest, or refused the soonest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FLAGS", ("-std=c99", "-O0", "-Wfatal-errors"))
        yield


def test_the_design_tells_how_many_mutations_there_are():
    count = sum(map(len, (MUTATIONS, TUNED, KINDS, FEW, READING)))
    assert f"mutated in {count} ways" in (ROOT / "DESIGN.md").read_text()


def test_each_mutation_changes_its_template():
    """At once, and on a machine that cannot run the kernel, too."""
    for name, mutation in (MUTATIONS | TUNED | KINDS | FEW).items():
        template, old, new = mutation[-3:]
        assert old != new and old in TEMPLATES[file_of(template)], f"{name}: mend the mutation"


def is_found(dtype, target="generic") -> bool:
    """Whether verification, or a look at the contract, finds something wrong in some chain."""
    names = ("deep", "normed", "lenet", "mlp", "signed", "strided", "gap")
    held = ("signed",) if target == "attiny85" else names
    return is_found_in_any(map(named_model, held), dtype, target)


def is_found_in_few_bits(cpu) -> bool:
    """The same of networks with weights of few bits, of each width."""
    model = named_model("signed" if cpu == "attiny85" else "lenet")
    models = (on_grids(model, [bits] * len(model.stages)) for bits in GRIDS)
    return is_found_in_any(models, "int8", cpu)


def is_found_in_any(models, dtype, target) -> bool:
    cpu, _, optimize = target.partition(" ")
    passed = []
    for model in models:
        plan = lay_out(make_plan(model, dtype, max_error=0.01), cpu, optimize or "speed")
        printed = render.render_c(plan, render.Options())
        if once("found", printed, lambda p=plan, files=printed: is_found_by_use(p, files)):
            return True
        passed.append((plan, printed))
    # What takes longest comes last, of one chain: all count rows by the same lines.
    plan, printed = passed[0]
    return once("faults", printed, lambda: is_found_by_faults(plan, printed))


def once(what, printed, look):
    """What ``look`` says of a network; most chains print the same whatever the mutation."""
    name = hashlib.sha256(pickle.dumps((what, *sorted(printed.items())))).hexdigest()
    return shared.once(name, look)


def is_found_by_use(plan, printed) -> bool:
    network = verified(plan, printed)
    return network is None or is_found_in(network, printed)


def verified(plan, printed):
    """The network, compiled, if it is what JAX computes."""
    try:
        network = CompiledNetwork(plan, printed)
        with pytest.MonkeyPatch.context() as patch:  # It would be compiled a second time.
            patch.setattr(compiled, "CompiledNetwork", lambda *_: network)
            verify.verify(plan, printed)
    except UserError:
        return None
    return network


def is_found_by_faults(plan, printed) -> bool:
    network = CompiledNetwork(plan, printed)
    return bool(faults_that_are_accepted(network, two_images(network)[0]))


def two_images(network):
    """Of noise; the second has nine rows of it."""
    shape = network.plan.input_shape
    images = np.random.default_rng(3).integers(0, 256, (2, *shape)).astype(np.uint8)
    images[1, 9:] = 0
    return images


def is_found_in(network, printed) -> bool:
    plan, model = network.plan, network.plan.model
    one_byte = re.sub(rb"(WORKSPACE_BYTES) .*", rb"\1 1", printed["lenet.h"])
    foreign = re.sub(rb"(LENET_EXPORT_)\w+", rb"\g<1>0", printed["lenet.h"])
    for header in (one_byte, foreign):
        with contextlib.suppress(UserError):
            CompiledNetwork(plan, printed | {"lenet.h": header})
            return True  # It must not compile.
    said = audit.stated(printed["lenet.c"].decode())
    if said != {(b.layer, b.number): (b.least, b.most, b.c_type) for b in bounds_of(plan)}:
        return True  # Tests of the bounds themselves hold them against the tables.
    decide, logits = network.function("decide"), network.new_logits()
    for best, second, gap in [(2, 5, 0), (0, 3, plan.threshold), (4, 0, plan.threshold)]:
        logits[:] = -plan.threshold
        logits[second] = plan.threshold
        logits[best] = plan.threshold + gap
        reading = decide(network.numbers_of(logits), ACCEPTED)
        if (reading.digit, reading.accepted) != (best, int(gap > 0)) or reading.gap != gap:
            return True
        if decide(network.numbers_of(logits), MISCOUNTED).accepted:
            return True
    logits[:], logits[3] = -INT32_MAX, INT32_MAX
    most = INT32_MAX if plan.dtype == "int8" else np.float32(2 * INT32_MAX)
    if decide(network.numbers_of(logits), ACCEPTED).gap != most:
        return True
    if model.ink:
        images, verdicts = at_the_limits(model.ink, model.input_shape)
        if (verdicts_of(network, images) != verdicts).any():
            return True
    if is_found_in_steps(network, images := two_images(network)):
        return True
    expected = network.logits(images)
    too_many = rows_given(network, np.concatenate([images[0], images[1]]))
    if network.workspace.row > model.input_shape[0] + plan.layers[0].padding[0][1]:
        return True
    too_few = rows_given(network, images[1, :9])
    if any(
        verdict_of(network, rows) != MISCOUNTED
        for rows in (images[1, :9], np.tile(images[0], (2, 1, 1)))
    ):
        return True
    if verdict_of(network, images[0]) == MISCOUNTED:
        return True
    return bool((too_many != expected[0]).any() or (too_few != expected[1]).any())


def is_found_in_steps(network, images) -> bool:
    """Whether a self-test in steps fails, alone or with an image or a row between the last."""
    test, steps = new_test(network), steps_of(network)
    if results_of(network, test) != [*(steps - 1) * [RUNNING], PASSED]:
        return True
    row = network.bytes_of(images[0, 0])
    for used in (
        lambda: network.logits(images[:1]),
        lambda: network.function("row")(network.workspace, row),
    ):
        found = results_of(network, test, {steps - 3: used})
        if found[-1] != PASSED or len(found) > steps + len(images[0]) + 1:
            return True
    return False


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_templates_as_they_are_pass(dtype):
    assert not is_found(dtype)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_template_is_found(name, monkeypatch):
    template, old, new = MUTATIONS[name]
    mutate(template, old, new, monkeypatch)
    is_float = name.startswith("float") or "float32" in template
    assert is_found("float32" if is_float else "int8")


def runs_here(target) -> bool:
    """A machine without AVX-512 has no tests of it."""
    return can_run(target.partition(" ")[0])


@pytest.mark.parametrize("name", [name for name in TUNED if runs_here(TUNED[name][1])])
def test_a_mutated_template_of_a_tuned_kernel_is_found(name, monkeypatch):
    dtype, target, *mutation = TUNED[name]
    mutate(*mutation, monkeypatch)
    assert is_found(dtype, target)


@pytest.mark.parametrize("name", KINDS)
def test_a_mutated_template_of_a_kind_of_layers_is_found(name, monkeypatch):
    dtype, target, *mutation = KINDS[name]
    mutate(*mutation, monkeypatch)
    assert not all(are_as_jax(dtype, target))


def are_as_jax(dtype, target):
    """Whether each chain with layers of these kinds is what JAX computes."""
    for model in map(named_model, ("separable", "pooled")):
        plan = lay_out(make_plan(model, dtype), target, "speed")
        yield verified(plan, render.render_c(plan, render.Options())) is not None


@pytest.mark.parametrize(
    ("dtype", "target"), wide(sorted({(dtype, target) for dtype, target, *_ in KINDS.values()}))
)
def test_the_templates_of_each_kind_as_they_are_pass(dtype, target):
    assert all(are_as_jax(dtype, target))


@pytest.mark.parametrize(
    ("dtype", "target"),
    wide(sorted({(dtype, target) for dtype, target, *_ in TUNED.values() if runs_here(target)})),
)
def test_the_templates_of_tuned_kernels_as_they_are_pass(dtype, target):
    assert not is_found(dtype, target)


@pytest.mark.parametrize("name", FEW)
def test_a_mutated_template_of_few_bits_is_found(name, monkeypatch):
    cpu, *mutation = FEW[name]
    mutate(*mutation, monkeypatch)
    assert is_found_in_few_bits(cpu)


@pytest.mark.parametrize("name", READING)
def test_a_mutated_reading_of_few_bits_is_found(name, monkeypatch):
    cpu, module, function, mutated = READING[name]
    monkeypatch.setattr(module, function, mutated(getattr(module, function)))
    assert is_found_in_few_bits(cpu)


@pytest.mark.parametrize("cpu", wide(["generic", *sorted({cpu for cpu, *_ in FEW.values()})]))
def test_the_templates_of_few_bits_as_they_are_pass(cpu):
    assert not is_found_in_few_bits(cpu)


def file_of(template):
    """The file of a template that a mutation names."""
    return next(path for path in TEMPLATES if f"{template}.c" in (path, Path(path).stem))


def mutate(template, old, new, monkeypatch):
    """Renders from templates with ``new`` in the place of ``old``."""
    file = file_of(template)
    assert old in TEMPLATES[file], "the template has changed: mend the mutation"
    mutated = TEMPLATES | {file: TEMPLATES[file].replace(old, new)}
    environment = render._environment.__wrapped__()
    environment.loader, environment.bytecode_cache = jinja2.DictLoader(mutated), COMPILED
    monkeypatch.setattr(render, "_environment", lambda: environment)
