"""Where the C deviates from MISRA C:2012, and why that is safe: kept here, printed elsewhere.

The page of the evidence has those that its export meets, ``docs/misra.md`` all. The categories of
the rules are those of the standard with its amendments 1 and 2.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from lenet_export.cpus.registry import CPUS


class Category(Enum):
    """How much a rule binds: of the first there is no deviation, of the last none is needed."""

    MANDATORY = "mandatory"
    REQUIRED = "required"
    ADVISORY = "advisory"


MANDATORY = frozenset(
    ("9.1", "12.5", "13.6", "17.3", "17.4", "17.6", "19.1", "21.13", "21.17", "21.18", "21.19",
     "21.20", "22.2", "22.4", "22.5", "22.6")
)  # fmt: skip
#: By rule: why it is not followed; none where it is.
ADVISORY = {
    "1.2": "",
    "2.3": "A static assertion is a type that nothing uses.",
    "2.4": "The tag of a struct has the name of its type, for declarations ahead.",
    "2.5": "The header's macros are for its users.",
    "2.6": "",
    "2.7": "",
    "4.2": "",
    "5.9": "",
    "8.7": "Public functions are called by the user.",
    "8.9": "Tables stand together, in front of the functions.",
    "8.11": "",
    "8.13": "",
    "10.5": "A truth value is the index or the number that it selects.",
    "11.4": "",
    "11.5": "A pointer to anything is what the user gives back, or bytes to be copied.",
    "12.1": "`*` binds before `+`, and `&&` before `||`: parentheses are where a reader may err.",
    "12.3": "Numbers of one kind are declared in one line.",
    "12.4": "",
    "13.3": "A pointer or a counter goes on as it is used, in lines that do nothing else.",
    "13.4": "What is set to one value is set in one line.",
    "15.1": "",
    "15.4": "",
    "15.5": "A function returns where it knows its answer.",
    "17.5": "",
    "17.8": "A parameter counts down, or goes on, where a copy would be a register more.",
    "18.4": "A pointer to a place of a table is the table and the place.",
    "18.5": "",
    "19.2": "Strips of rows and units are never needed at once: a union is a third of the RAM.",
    "20.1": "Only what a CPU's intrinsics need is included behind the `#error` of its flags.",
    "20.5": "A macro of this file ends with it, so that several files can be one.",
    "20.10": "A static assertion is a type whose name ends with the assertion's.",
    "21.12": "",
}
ARM = ("cortex-m3", "cortex-m4", "cortex-m55")
X86 = ("x86-64-v3", "x86-64-v3-vnni", "x86-64-v4")
AVR = ("avr", "atmega328p", "attiny85")
VECTORS = ("cortex-m55", "x86-64-v3", "x86-64-v3-vnni", "x86-64-v4", "aarch64", "aarch64-dotprod")
#: What is 0 or 1 by its name, and perhaps a call's answer.
NAME = r"(?:is|has|can_be|may|grew|grow|find)(?:_\w+)?"
TRUTH = rf"(?:\w+->)?{NAME}(?:\((?:[^()]|\([^()]*\))*\))?"
#: A number is set to what a comparison, `and`, `or` or such a name says.
COMPARED = r"(?<![-<>])[<>](?![<>])|[=!]=|&&|\|\||!"
SAID = rf"^(?!for |if |while )(?:[^?]*?[^=!<>?])?=(?!=)[^?]*(?:{COMPARED}|\b{NAME}\()[^?]*$"
#: What is cast in what `--with` adds.
CAST = (
    "high * parts", "wide * parts", "2 * parts", "4 * parts * parts", "x % (2 * parts)",
    "y % (2 * parts)", "65535 + shrink * shrink", "shrink * shrink", "area / 2", "area / 1024",
    "counted / 2", "sum / count", "sum / ((uint32_t)side * (uint32_t)side)", "2u * mass",
    "2u * moment", "twice / (int32_t)(2u * mass)", "(int32_t)255 * 256 / (most - least)",
    "difference - base", "k - ws->base", "left + at", "arrival->kept_lines - here",
    "read->cost[LENET_LOGITS - 1] - read->cost[d]", "is_least ? least : sum / count",
    "is_block ? box.bottom - box.top : 0", "is_cheapest ? amid : group->first",
    "cost + (has_ink(ws, y, left + k) ? INK_COST : 0)",
)  # fmt: skip


class Deviation(NamedTuple):
    """A finding of a required rule that stays, and why.

    Attributes:
        rule: its number.
        construct: what is written, in words.
        pattern: what a line with it has.
        why: what it is for.
        safe: why it does no harm.
        cpus: whose C has it; none for any.
    """

    rule: str
    construct: str
    pattern: str
    why: str
    safe: str
    cpus: tuple[str, ...] = ()


DEVIATIONS = (
    Deviation(
        "10.1",
        "A number with a sign is shifted to the right, or its low bits are taken; an `int` counts "
        "the places of a shift",
        r">>|<<| & ",
        "Fixed point is a shift. Places are counted as rows and columns are, in an `int`.",
        "What may be negative is shifted only behind a static assertion that it goes down; nothing "
        "negative is shifted to the left; a count is a loop's or a remainder, less than the width.",
    ),
    Deviation(
        "2.2",
        "A number is subtracted from 0, which is taken for an operation without effect",
        r"= 0 - sign_bit\(",
        "0 less 1 is a mask of all bits.",
        "The difference is used, as a mask; of numbers without a sign it is defined.",
        AVR[:2],
    ),
    Deviation(
        "10.2",
        "A digit is added to '0'",
        r"'0' \+",
        "The text of an amount.",
        "C has the digits in their order, and the digit is one of 0 to 9.",
    ),
    Deviation(
        "10.3",
        "An `int` takes what a comparison says",
        rf"{SAID}|^int is_\w+ =$",
        "A truth value is an `int`, in the header's structs too, which need no `<stdbool.h>`.",
        "C says that it is 0 or 1.",
    ),
    Deviation(
        "10.3",
        "A product of a pixel and a weight is added to a sum of floats",
        r"^acc\w* \+= \w+ \* w\d+;$",
        "A pixel of 8 bits becomes a float as it is multiplied.",
        "A float holds all of 0 to 255, and the weight and the sum are floats.",
    ),
    Deviation(
        "10.3",
        "A pointer goes on by a constant",
        r"^(in|weight) \+= \d+;$",
        "A loop's pointers go on by a row, or by a block of weights.",
        "A pointer is not narrowed; cppcheck knows no type of what intrinsics load from it.",
        ("cortex-m55",),
    ),
    Deviation(
        "10.4",
        "What a comparison says is added, or compared",
        r"has_ink\(|\(ws->difference\[x\] > threshold\)|is_\w+ = ",
        "A count goes up where something is so, without a branch.",
        "C says that it is 0 or 1.",
    ),
    Deviation(
        "10.4",
        "A code of 8 bits is multiplied by a weight of 8 bits",
        r"\* (weight|w\d)\b|\* \(int8_t\)pgm_read_byte",
        "An AVR multiplies bytes, one with a sign and one without, to 16 bits in one instruction.",
        "Both become `int` first; the product is at most 255 * 128, and the sum has its bound.",
        AVR,
    ),
    Deviation(
        "10.4",
        "A constant with a sign stands beside a number without one, in what a norm computes",
        r"\+ 32768 - |\(3 \* x\) & mask",
        "A half is added before a shift, or what is 3 times a number.",
        "The constant is positive, and becomes as wide as the number, and without a sign.",
        AVR[:2],
    ),
    Deviation(
        "10.4",
        "A field of a word of weights, less a constant",
        r"\(\(word (?:>> \d+ )?& \d+\) - \d+\)|: word >> \d\);$"
        r"|^if \((?:number|size) & \d\) \{$",
        "Weights of few bits are stored from 0 and mean numbers from below 0.",
        "The field is of at most 4 bits, and becomes an `int` that holds the difference.",
    ),
    Deviation(
        "10.4",
        "A pixel or a code of 8 bits stands beside an `int` or a float",
        r"\btotal \+= in\[|(?:\bmost|: 0\)|/ \d+u\)|, \d+\)) - 128\);$"
        r"|^acc\w* \+= ws->shared\.rows\.|light->mean\[|above\[n \+ j\]",
        "An element becomes as wide as what it is added to.",
        "An `int` and a float hold all of 0 to 255.",
    ),
    Deviation(
        "10.4",
        "A place, a count or a cost of 16 bits stands beside an `int`, with `--with amount`",
        r"\b(?:left|right)\[y\]|\babove\[k [-+] \d\] \+ \d|\blast\[k\] \+ aside"
        r"|\bsizes\[k\] > most|\bcount\[k\] >= |way\[\w\]\.(?:digits\b|sure - )"
        r"|\) / LENET_COST_UNIT;$",
        "Paths through a line are stored in half of the memory.",
        "Each is less than 32,768, so that an `int` of 16 bits holds it too; constants beside "
        "numbers without a sign are positive.",
    ),
    Deviation(
        "10.7",
        "A field of a word of weights is multiplied by a code",
        r"\* \(word\b",
        "The sum is as wide as its bounds want it, and the word as what it holds.",
        "The field is of at most 4 bits, so that it lies in the narrower type, too.",
        ("avr",),
    ),
    Deviation(
        "10.8",
        "A count of what is left is cast, for an intrinsic",
        r"\((?:uint(?:8|32)_t|char)\)\((?:\d+ - \()?(?:count - (?:k|\d+)|255u - rise)\)",
        "Places are counted in an `int`; an intrinsic takes a lane's type, or 32 bits.",
        "It is not negative, by the condition or the loop that it stands in, and at most 255.",
        VECTORS,
    ),
    Deviation(
        "10.8",
        "A product is cast, in what a norm computes",
        r"\(uint32_t\)\(acc\[c\] \* (?:acc\[c\]|root)\)",
        "Squares are added up without a sign, which gives them a bit more.",
        "Each product has its bound, within `int32_t`; what a cast to as many bits without a sign "
        "makes of a negative one is defined, and meant.",
    ),
    Deviation(
        "10.8",
        "The upper half of a product is shifted, and cast",
        r"\(uint32_t\)\(\(uint16_t\)\(product >> 16\) >> \(shift - 16u\)\)",
        "An AVR shifts 16 bits in half of the time.",
        "The half has no sign and becomes wider.",
        AVR,
    ),
    Deviation(
        "10.8",
        "A sum, difference, product or quotient is cast, with `--with picture` or `amount`",
        "|".join(rf"\((?:u?int\d+_t|int)\)\({re.escape(of)}\)" for of in CAST),
        "Sizes and places are `int`, what is stored is as narrow as it can be, areas have 32 bits.",
        "The value fits: it is not negative where the type has no sign, by the loop that it stands "
        "in, and no larger than its array's elements, by the limits of a picture and of a line.",
    ),
    Deviation(
        "11.3",
        "Four bytes are loaded as a word",
        r"\*\(const (quad|word) \*\)",
        "A CPU multiplies all of them at once.",
        "The type is declared `may_alias`, and the CPU loads a word from any address.",
        ("cortex-m4", "x86-64-v4"),
    ),
    Deviation(
        "14.2",
        "A `for` goes on by what it found, or counts something that was set before it",
        r"^for \((?:; x < end; x\+\+|int end = lesser\(.*\); x < end; x\+\+"
        r"|int grew = 0;; grew = 1|int k = 0; block != 0; k\+\+"
        r"|int x = 0; (?:ws->shared\.map\.left\.row\[y\]\[\d\](?: \| )?)+; x\+\+"
        r"|uint64_t left = .*; count > 0; count--)\) \{$|^copy_bytes\(cuts \+ kept\+\+, ",
        "The counter goes on through several loops, or the loop ends with what it looks for.",
        "Each ends: the counter comes nearer to a bound in each round, or what is looked for "
        "becomes less.",
    ),
    Deviation(
        "14.4",
        "A truth value in an `int` is a condition",
        rf"^(?:if|while) \({TRUTH}\) \{{$",
        "There is no other type for it: see 10.3.",
        "It is 0 or 1, and its name says what is so.",
    ),
)  # fmt: skip


def category(rule: str) -> Category:
    """How much a rule binds, by its number."""
    if rule in MANDATORY:
        return Category.MANDATORY
    return Category.ADVISORY if rule in ADVISORY else Category.REQUIRED


def deviation_of(rule: str, line: str, cpu: str) -> Deviation | None:
    """The deviation that a finding is one of; ``None`` where there is none.

    Args:
        rule: the rule's number.
        line: the line of C, without what it is indented by.
        cpu: whose C it is.
    """
    of_rule = (of for of in DEVIATIONS if of.rule == rule and cpu in (of.cpus or CPUS))
    return next((of for of in of_rule if re.search(of.pattern, line)), None)


def table() -> str:
    """All deviations and the advisory rules that are not followed, in Markdown."""
    lines = ["| rule | construct | CPUs | why | what makes it safe |", "|---|---|---|---|---|"]
    for of in DEVIATIONS:
        cpus = ", ".join(f"`{cpu}`" for cpu in of.cpus) or "any"
        lines.append(f"| {of.rule} | {of.construct} | {cpus} | {of.why} | {of.safe} |")
    lines += ["", "| advisory rule | why it is not followed |", "|---|---|"]
    lines += [f"| {rule} | {why} |" for rule, why in ADVISORY.items() if why]
    return "\n".join(lines) + "\n"
