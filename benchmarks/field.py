"""What a model does beside clean digits: corrupted ones, strangers, and one writer's strings.

    python benchmarks/field.py                      the bundled models' tables
    python benchmarks/field.py runs/m.safetensors   another model's
    python benchmarks/field.py --update             also writes models/field.json

Read by the exported C in int8, plain C99, compiled here. `LENET_DATA` names a folder with mnist/
and qmnist/. What is measured on, benchmarks/material makes by seed of MNIST's test images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import checkpoint
from lenet_export.compiled import CompiledNetwork
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from material import amounts, corruptions, digits, scenes, strangers
from material.digits import Digits
from material.filters import UInt8

ROOT = Path(__file__).parents[1]
BUNDLED = ROOT / "export/lenet_export/models"
FIGURES = BUNDLED / "field.json"
SEED = 1
CLASSES = 10  # digits; a further output of a network means that it is none
REJECTED = 0.015  # of the clean digits, where strangers are counted
ERRORS = (0.01, 0.001)  # of the strings that are accepted
MAX_ERROR = 0.001  # of pictures that are accepted, as the model's own table has it
LARGE = 0.3  # of a picture's longer side: the digit's, for a scan
ERROR_OF_LINES = 0.01  # of all lines, as readers of cheques are judged

#: uint8 ``(n, 28, 28)`` to integer logits ``(n, classes)``.
Read = Callable[[UInt8], npt.NDArray[Any]]
#: The same images to those that are not accepted for their ink, whatever the logits.
Refuse = Callable[[UInt8], npt.NDArray[np.bool_]]
#: A picture of any size to uint8 ``(28, 28)``; all 0 where it finds no ink.
Prepare = Callable[[UInt8], UInt8]
#: A picture of a line to its digits, and a score: the larger, the surer.
ReadAmount = Callable[[UInt8], tuple[str, float]]
Table = dict[str, float]


def path_of(name: str) -> Path:
    """The bundled model of that name, else the file."""
    bundled = BUNDLED / f"{name}.safetensors"
    return bundled if bundled.exists() else Path(name)


def reader(path: Path) -> Read:
    """The model's C in int8, compiled, as a function."""
    plan = make_plan(checkpoint.load(path), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options()))
    return lambda images: network.logits(images[..., None])


def preparer() -> Prepare:
    """The C of ``--with picture``, compiled, as a function."""
    plan = make_plan(checkpoint.load(BUNDLED / "mnist.safetensors"), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options(parts=("picture",))))
    return lambda picture: network.prepare(picture).image


def scanner() -> Prepare:
    """The same where the rows come once."""
    plan = make_plan(checkpoint.load(BUNDLED / "mnist.safetensors"), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options(parts=("picture",))))
    return lambda picture: network.scan(picture)[0].image


def amount_reader(path: Path, is_pushed: bool = False) -> ReadAmount:
    """What the model's C of ``--with amount`` reads in lines, as a function.

    Args:
        path: of the model.
        is_pushed: whether columns come once; else the line is in memory.
    """
    plan = make_plan(checkpoint.load(path), "int8")
    network = CompiledNetwork(plan, render_c(plan, Options(parts=("picture", "amount"))))

    def read(picture: UInt8) -> tuple[str, float]:
        found = network.push_amount(picture) if is_pushed else network.read_amount(picture)
        return network.text(found.text), float(found.score)

    return read


def refuser(path: Path) -> Refuse:
    """Whether the C refuses images for their ink, by the limits in the model's file."""
    ink = checkpoint.load(path).ink
    return nothing if ink is None else lambda images: ~ink.holds(images[..., None])


def nothing(images: UInt8) -> npt.NDArray[np.bool_]:
    """No image is refused."""
    return np.zeros(len(images), bool)


def scores(
    logits: npt.NDArray[Any], is_refused: npt.NDArray[np.bool_] | bool = False
) -> npt.NDArray[np.int64]:
    """The gap between the two largest logits of each image; -1 where it is no digit.

    That is where the largest logit is no digit's, or the image's ink is refused.
    """
    ordered = np.sort(logits.astype(np.int64), axis=1)
    is_digit = (logits.argmax(1) < CLASSES) & ~np.asarray(is_refused)
    return np.where(is_digit, ordered[:, -1] - ordered[:, -2], -1)


def right(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """The share of images whose largest logit is the label's."""
    return float((logits.argmax(1) == labels).mean())


def corrupted(read: Read, given: Digits, seed: int) -> Table:
    """The share read right of each corruption of MNIST-C, and their mean."""
    found = {
        name: right(read(corruptions.corrupt(given.images, name, seed)), given.labels)
        for name in corruptions.CORRUPTIONS
    }
    return found | {"mean": sum(found.values()) / len(found)}


def threshold(clean: npt.NDArray[np.int64], rejected: float) -> int:
    """The score from which on images are accepted: at most that share of the clean ones is not."""
    return int(np.sort(clean)[int(len(clean) * rejected)])


def accepted(read: Read, refuse: Refuse, given: Digits, least: int, count: int, seed: int) -> Table:
    """The share of each kind of strangers that is read as a digit with ``least`` or more."""
    return {
        kind: float((scores(read(images), refuse(images)) >= max(least, 0)).mean())
        for kind, images in strangers.make(given, count, seed).items()
    }


def rejected_for(is_right: npt.NDArray[np.bool_], score: npt.NDArray[Any], error: float) -> float:
    """The smallest share to reject by a threshold: at most ``error`` of the rest is wrong."""
    order = np.argsort(-score)
    wrong, kept = np.cumsum(~is_right[order]), np.arange(1, len(score) + 1)
    is_threshold = np.append(np.diff(score[order]) != 0, True)
    possible = kept[is_threshold & (wrong <= error * kept)]
    return float(1 - max(possible, default=0) / len(score))


def judged(is_right: npt.NDArray[np.bool_], score: npt.NDArray[Any]) -> Table:
    """The share that is wrong, and what must be rejected, for each of ``ERRORS``."""
    found = {"wrong": float((~is_right).mean())}
    return found | {
        f"rejected for {error:.1%}": rejected_for(is_right, score, error) for error in ERRORS
    }


def strings(read: Read, given: Digits, places: list[list[int]], refuse: Refuse = nothing) -> Table:
    """Of strings whose digits are cut already; the score of one is that of its least sure digit.

    Args:
        read: of a model.
        given: what ``places`` are in.
        places: of the digits of each string.
        refuse: which images are not accepted.
    """
    logits = read(given.images)
    is_right, score = logits.argmax(1) == given.labels, scores(logits, refuse(given.images))
    return judged(
        np.array([is_right[own].all() for own in places]),
        np.array([score[own].min() for own in places]),
    )


def writers(read: Read, given: Digits) -> Table:
    """The share read right of the digits of each group, and the writers all of whose are."""
    is_right = read(given.images).argmax(1) == given.labels
    is_student = given.series == digits.STUDENTS
    wrong = np.unique(given.writers[~is_right])
    groups = {"employees": is_right[~is_student], "students": is_right[is_student]}
    found = {name: float(group.mean()) for name, group in groups.items() if len(group)}
    return found | {"without an error": 1 - len(wrong) / len(np.unique(given.writers))}


def pictures(
    read: Read,
    prepare: Prepare,
    given: Digits,
    count: int,
    seed: int,
    sure: int = 0,
    refuse: Refuse = nothing,
) -> Table:
    """The share read right through ``prepare``: clean digits, scenes, printed ones, 8x8.

    Of each kind also the share accepted, from the score ``sure`` on, and what is wrong among them.
    """
    clean = zip(given.images, given.labels, strict=True)
    seen = {
        "clean": [scenes.Scene(image, int(label), (0, 0, 28, 28), False) for image, label in clean]
    }
    seen |= {f"{kind} scenes": scenes.make(given, kind, count, seed) for kind in scenes.LIGHTS}
    seen |= {"printed, unseen fonts": scenes.printed(seed), "8x8": scenes.eights()}
    found = {}
    for name, made in seen.items():
        images = np.stack([prepare(scene.picture) for scene in made])
        logits = read(images)
        is_right = logits.argmax(1) == np.array([scene.label for scene in made])
        is_sure = scores(logits, refuse(images)) >= max(sure, 0)
        found[name] = float(is_right.mean())
        found[f"{name}, accepted"] = float(is_sure.mean())
        found[f"{name}, wrong of them"] = float((~is_right & is_sure).sum() / max(is_sure.sum(), 1))
    return found


def scans(read: Read, scan: Prepare, given: Digits, count: int, seed: int) -> Table:
    """The share read right of scenes whose rows come once; of those with a ``LARGE`` digit too."""
    found = {}
    for kind in scenes.LIGHTS:
        made = scenes.make(given, kind, count, seed)
        logits = read(np.stack([scan(scene.picture) for scene in made]))
        is_right = logits.argmax(1) == np.array([scene.label for scene in made])
        is_large = np.array([scene.share >= LARGE for scene in made])
        found[f"{kind} scenes, large digits"] = float(is_right[is_large].mean())
        found[f"{kind} scenes"] = float(is_right.mean())
    return found


def least_score(is_right: npt.NDArray[np.bool_], score: npt.NDArray[Any], error: float) -> float:
    """The smallest score from which on at most ``error`` of all are accepted and wrong."""
    wrong = np.sort(score[~is_right])[::-1]
    allowed = int(error * len(score))
    return float(np.nextafter(wrong[allowed], np.inf)) if allowed < len(wrong) else -np.inf


def line_amounts(
    read_amount: ReadAmount, given: Digits, others: Digits, count: int, seed: int
) -> dict[str, Table]:
    """Of amounts as lines, by how near the digits stand: right; and as 1998's readers were judged.

    Args:
        read_amount: of a line.
        given: what the lines are made of.
        others: what other lines are made of, as many and of the same kind, of which
            ``ERROR_OF_LINES`` are accepted and wrong at the least score that is accepted.
        count: how many lines of each kind.
        seed: of the lines.
    """

    def read(lines: list[amounts.Line]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
        texts, score = zip(*(read_amount(line.picture) for line in lines), strict=True)
        is_right = [text == line.text for text, line in zip(texts, lines, strict=True)]
        return np.array(is_right), np.array(score)

    found = {}
    for spacing in amounts.SPACINGS:
        least = least_score(*read(amounts.lines(others, spacing, count, seed + 1)), ERROR_OF_LINES)
        is_right, score = read(amounts.lines(given, spacing, count, seed))
        found[spacing] = {
            "right": float(is_right.mean()),
            "correct": float((is_right & (score >= least)).mean()),
            "error": float((~is_right & (score >= least)).mean()),
            "reject": float((score < least).mean()),
        }
    return found


def pushed_lines(read_pushed: ReadAmount, given: Digits, count: int, seed: int) -> Table:
    """The share of lines read right whose columns come once, by how near the digits stand."""
    found = {}
    for spacing in amounts.SPACINGS:
        lines = amounts.lines(given, spacing, count, seed)
        found[spacing] = float(np.mean([read_pushed(one.picture)[0] == one.text for one in lines]))
    return found


def measure(
    read: Read,
    given: Digits,
    count: int = 1000,
    seed: int = SEED,
    prepare: Prepare | None = None,
    read_amount: ReadAmount | None = None,
    others: Digits | None = None,
    refuse: Refuse = nothing,
    sure: int = 0,
    scan: Prepare | None = None,
    read_pushed: ReadAmount | None = None,
) -> dict[str, Any]:
    """Every table of a model, as shares of 1.

    Args:
        read: of its C.
        given: the digits that the material is made of.
        count: of strangers of a kind, of scenes in a light, of lines; a tenth of the strings.
        seed: of the material.
        prepare: brings pictures to 28x28; without it there is no table ``pictures``.
        read_amount: reads lines; without it there is no table ``lines``.
        others: lines of these tell from which score on a line is accepted; else the validation
            split's.
        refuse: tells which images the C does not accept for their ink.
        sure: the score from which on the model's own table accepts a picture.
        scan: brings pictures whose rows come once to 28x28; without it there is no table ``scans``.
        read_pushed: reads lines whose columns come once; without it there is no ``pushed lines``.
    """
    logits, is_refused = read(given.images), refuse(given.images)
    least = threshold(scores(logits, is_refused), REJECTED)
    tables: dict[str, Any] = {
        "clean": {
            "right": right(logits, given.labels),
            "taken for none": float((logits.argmax(1) >= CLASSES).mean()),
            "refused for their ink": float(is_refused.mean()),
        },
        "mnist-c": corrupted(read, given, seed),
        "strangers accepted": accepted(read, refuse, given, least, count, seed),
        "writers": writers(read, given),
        "cut amounts": strings(read, given, amounts.cut(given, 10 * count, seed), refuse),
        "cut ZIP codes": strings(read, given, amounts.zip_codes(given, 10 * count, seed), refuse),
    }
    if prepare is not None:
        tables["pictures"] = pictures(read, prepare, given, count, seed, sure, refuse)
    if scan is not None:
        tables["scans"] = scans(read, scan, given, count, seed)
    if read_amount is not None:
        others = others or digits.load("validation")
        lines = line_amounts(read_amount, given, others, count, seed)
        tables |= {f"lines, {spacing}": table for spacing, table in lines.items()}
    if read_pushed is not None:
        tables["pushed lines right"] = pushed_lines(read_pushed, given, count, seed)
    return tables


def rows(models: dict[str, dict[str, Any]]) -> list[str]:
    """The tables of ``models`` by name as one of Markdown, percent, a column for each model."""
    head = [
        "| % | " + " | ".join(f"`{name}`" for name in models) + " |",
        "|---" * (len(models) + 1) + "|",
    ]
    tables = next(iter(models.values()))
    return head + [
        f"| {table}: {name} | "
        + " | ".join(f"{100 * found[table][name]:.2f}" for found in models.values())
        + " |"
        for table, names in tables.items()
        for name in names
    ]


def keep(figures: Path, made: dict[str, Any], found: dict[str, Any]) -> None:
    """Writes what was ``found`` of models, by name, on material that was ``made`` so."""
    known = json.loads(figures.read_text()) if figures.exists() else {}
    if known | made == known:  # What was measured of other models on the same stays.
        found = dict(sorted((known["models"] | found).items()))
    figures.write_text(json.dumps(made | {"models": found}, indent=1) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "models", nargs="*", help="names of bundled models, or files (default: all bundled)"
    )
    parser.add_argument("--count", type=int, default=1000, help="of each kind (default: 1000)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the material (default: {SEED})")
    parser.add_argument(
        "--split",
        choices=["test", "validation"],
        default="test",
        help="digits that the material is made of (default: test)",
    )
    parser.add_argument("--update", action="store_true", help=f"write {FIGURES.name}")
    options = parser.parse_args(arguments)
    names = options.models or sorted(path.stem for path in BUNDLED.glob("mnist*.safetensors"))
    given = digits.load(options.split)
    found, prepare, scan = {}, preparer(), scanner()
    for name in names:
        path = path_of(name)
        sure = int(make_plan(checkpoint.load(path), "int8", MAX_ERROR).threshold)
        read, refuse = reader(path), refuser(path)
        found[path.stem] = measure(
            *(read, given, options.count, options.seed, prepare, amount_reader(path)),
            refuse=refuse,
            sure=sure,
            scan=scan,
            read_pushed=amount_reader(path, is_pushed=True),
        )
    print("\n".join(rows(found)))
    if options.update:
        made = {"split": options.split, "seed": options.seed, "count": options.count}
        keep(FIGURES, made, found)


if __name__ == "__main__":
    main()
