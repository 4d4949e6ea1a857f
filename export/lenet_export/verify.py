"""Whether the compiled C computes what JAX computes: every logit of some hundred images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export import compiled, reference
from lenet_export.errors import UserError
from lenet_export.gap_table import classes_of
from lenet_export.plan import Plan
from lenet_export.reference import Images
from lenet_export.verdict import MANY, WORSE, Readings, Verdict, readings, surely_above

FLOAT_TOLERANCE = 1e-4
OTHER_CLASSES = 0.05  # a share of images that get another class from the C than from floats
BUG = "this is a bug of lenet-export: please report it with the model"


@dataclass(frozen=True)
class Comparison:
    """What a verification found; it found no difference, or it would have raised.

    Attributes:
        images: how many were compared.
        logits: how many logits were compared.
        largest_difference: of a logit to JAX, for float32; to the integer reference, 0, for int8.
        real_images: how many of the images the user gave.
        same_class: how many of those have the class that JAX float32 gives them.
        float_accuracy: JAX's share of right classes on those, or ``None`` without labels.
        c_accuracy: likewise that of the C.
        verdicts: how many of the user's images get each :class:`lenet_export.verdict.Verdict`.
        accepted_wrong: how many of those accepted are wrong, or ``None`` without labels.
        warnings: what makes the export doubtful though the C is what was planned; in sentences.
        readings: what the C reads in the user's images.
    """

    images: int
    logits: int
    largest_difference: float
    real_images: int
    same_class: int
    float_accuracy: float | None
    c_accuracy: float | None
    verdicts: tuple[int, ...] = ()
    accepted_wrong: int | None = None
    warnings: tuple[str, ...] = ()
    readings: Readings | None = None

    def as_json(self) -> dict[str, Any]:
        """All but the readings, as values of JSON."""
        return {name: value for name, value in vars(self).items() if name != "readings"}

    def record(self, dtype: str) -> dict[str, Any]:
        """What ``lenet.json`` holds of it: the same on every machine."""
        is_exact = dtype == "int8"
        found: dict[str, Any] = {
            "with": "the JAX integer reference" if is_exact else "JAX float32",
            "images": self.images,
            "logits": self.logits,
            **({"largest_difference": 0} if is_exact else {"tolerance": FLOAT_TOLERANCE}),
        }
        if self.real_images:
            found |= {"test_images": self.real_images, "accuracy": self.c_accuracy}
        return found


def stress_images(plan: Plan, seed: int = 0, random: int = 400) -> Images:
    """Images made to find differences, uint8 ``(images, rows, columns, channels)``.

    Black, white, each grey edge value, checkerboards, stripes, ramps; random images of every
    density and strokes as a pen leaves them; and for each channel of a first convolution the two
    images that drive its accumulator to its proven bounds.
    """
    shape = plan.input_shape
    rows, columns, _ = shape
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    patterns: list[npt.NDArray[Any]] = [np.full(shape, v) for v in (0, 255, 1, 127, 128, 254)]
    for size in (1, 2, 3, 5):
        for board in ((y // size + x // size) % 2, y // size % 2, x // size % 2):
            patterns += [255 * board, 255 - 255 * board]
    patterns += [255 * y // max(rows - 1, 1), 255 * x // max(columns - 1, 1)]
    patterns = [np.broadcast_to(p.reshape(*p.shape[:2], -1), shape) for p in patterns]
    densities = np.linspace(0.02, 1, random // 2)
    noise = (rng.integers(0, 256, shape) * (rng.random(shape) < density) for density in densities)
    ink = (_strokes(rng, rows, columns)[..., None] * np.ones(shape) for _ in range(random // 2))
    images = itertools.chain(patterns, noise, ink, _extreme_images(plan))
    return np.stack([image.astype(np.uint8) for image in images])


def _strokes(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[Any]:
    """Two to four straight strokes with soft edges, 0 to 255."""
    y, x = np.mgrid[:rows, :columns]
    ink = np.zeros((rows, columns))
    for _ in range(rng.integers(2, 5)):
        (y0, x0), (y1, x1) = rng.random((2, 2)) * (rows, columns)
        length = (y1 - y0) ** 2 + (x1 - x0) ** 2 + 1e-9
        along = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length, 0, 1)
        distance = np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0))
        ink = np.maximum(ink, np.clip(2.2 - distance, 0, 1))
    return np.floor(255 * ink)


def _extreme_images(plan: Plan) -> list[npt.NDArray[Any]]:
    """For each output of the first layer: ink where its weights are positive, and the converse."""
    layer = plan.layers[0]
    rows, columns, channels = layer.input_shape
    images = []
    for weight in layer.weight:
        if layer.is_conv:
            weight = np.broadcast_to(weight, (*weight.shape[:2], channels))  # of a depthwise one
            tiles = (-(-rows // weight.shape[0]), -(-columns // weight.shape[1]), 1)
            weight = np.tile(weight, tiles)[:rows, :columns]
        positive = 255 * (weight.reshape(rows, columns, channels) > 0)
        images += [positive, 255 - positive]
    return images


def verify(
    plan: Plan,
    files: dict[str, bytes],
    prefix: str = "lenet",
    images: Images | None = None,
    labels: npt.NDArray[Any] | None = None,
) -> Comparison:
    """Compiles ``files`` and compares every logit with JAX.

    Args:
        plan: what the files were printed from.
        files: of :func:`lenet_export.outputs.c.render_c`.
        prefix: of the public names.
        images: real images to compare on, beside :func:`stress_images`.
        labels: their classes.

    Raises:
        UserError: one logit differs (int8), or differs by more than 1e-4 (float32, relative to the
            largest logit where that is above 1); or the self-test fails, or there is no compiler
            or no device for JAX.
    """
    from lenet_export import float_network

    float_network.check_device()
    real = 0 if images is None else len(images)
    stress = stress_images(plan)
    everything = stress if images is None else np.concatenate([images, stress])
    network = compiled.CompiledNetwork(plan, files, prefix)
    ours, read = network.read(everything)
    floats = float_network.run_logits(plan.model, everything)
    if plan.dtype == "int8":
        last = plan.layers[-1].name
        expected = reference.run_integers(plan, everything, [last])[last]
    else:
        expected = floats
    wrong = ~is_equal(ours, expected)
    if wrong.any():
        first = int(np.argwhere(wrong.any(axis=1))[0, 0])
        raise _difference(network, everything[first], first, wrong, prefix)
    _check_readings(read, readings(plan, everything, ours), prefix)
    result = network.function("self_test")(network.workspace)
    if result != 0:
        raise UserError(
            f"{prefix}.c",
            f"all logits are right, but {prefix}_self_test returns {result}",
            BUG,
        )
    classes, float_classes = read.digits, classes_of(floats, plan.none_output)
    judged = real or len(everything)  # the stress images where there are no others
    told = [_class_warning(int((classes != float_classes)[:judged].sum()), judged)]
    classes, float_classes = classes[:real], float_classes[:real]
    verdicts = read.verdicts[:real]
    if labels is not None:
        right, right_in_c = (int((of == labels).sum()) for of in (float_classes, classes))
        told += [
            _chance_warning(right, real, plan.classes),
            _worse_warning(right, right_in_c, real),
        ]
    return Comparison(
        images=len(everything),
        logits=ours.size,
        largest_difference=float(np.abs(ours.astype(np.float64) - expected).max()),
        real_images=real,
        same_class=int((classes == float_classes).sum()),
        float_accuracy=None if labels is None else float((float_classes == labels).mean()),
        c_accuracy=None if labels is None else float((classes == labels).mean()),
        verdicts=tuple(int((verdicts == verdict).sum()) for verdict in Verdict),
        accepted_wrong=None
        if labels is None
        else int(((classes != labels) & (verdicts == Verdict.ACCEPTED)).sum()),
        warnings=tuple(text for text in told if text),
        readings=Readings(*(of[:real] for of in read)) if real else None,
    )


def _check_readings(ours: Readings, expected: Readings, prefix: str) -> None:
    """Checks what the C makes of its logits.

    Raises:
        UserError: it makes something else of those of an image.
    """
    for name, found, right in zip(ours._fields, ours, expected, strict=True):
        if (found != right).any():
            at = int(np.argmax(found != right))
            raise UserError(
                f"{prefix}.c",
                f"all logits are right, but of image {at} the {name[:-1]} is {found[at]}, "
                f"expected {right[at]}",
                BUG,
            )


def _class_warning(others: int, images: int) -> str:
    """What is told where the C gives ``others`` of so many images another class than floats; or "".

    Int8 moves some of a hundred. It is told where surely more than OTHER_CLASSES of all images are
    such: by three standard deviations.
    """
    if others <= surely_above(OTHER_CLASSES, images):
        return ""
    return (
        f"the C gives {others:,} of {images:,} images another class than the float network: its "
        "activation ranges, or the images that they were measured on, are not those of its images. "
        "Measure them again (train again, or give other images), or export float32"
    )


def _chance_warning(right: int, images: int, classes: int) -> str:
    """What is told where the float network reads no more images rightly than chance; or ""."""
    if images < MANY or right > surely_above(1 / classes, images):
        return ""
    return (
        f"the float network itself reads {right:,} of {images:,} images rightly, as chance would: "
        "it is given bytes / 255, so it must be trained on these, not on numbers of another range "
        "or sign, and the labels must be those of the images"
    )


def _worse_warning(right: int, ours: int, images: int) -> str:
    """What is told where the C reads surely more than WORSE fewer images rightly; or ""."""
    if right - ours <= surely_above(WORSE, images):
        return ""
    return (
        f"THE C IS WORSE THAN THE NETWORK: it reads {ours:,} of {images:,} images rightly, the "
        f"float network {right:,}. Give some hundred images like those to come, for the activation "
        "ranges; or train with larger weight decay; or export float32"
    )


def is_equal(ours: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each logit ``(images, outputs)`` is the one that is expected.

    Of floats: within the tolerance, relative to the largest of its image.
    """
    if ours.dtype != np.float32:
        same: npt.NDArray[np.bool_] = ours == expected
        return same
    largest = np.abs(expected).max(axis=1, keepdims=True)
    near: npt.NDArray[np.bool_] = (
        np.abs(ours - expected) <= np.maximum(1, largest) * FLOAT_TOLERANCE
    )
    return near


def _difference(
    network: compiled.CompiledNetwork,
    image: Images,
    number: int,
    wrong: npt.NDArray[Any],
    prefix: str,
) -> UserError:
    """The error for the first image whose logits differ: with the first layer that does."""
    plan = network.plan
    if plan.dtype == "float32":
        from lenet_export import float_network

        noise = float_network.noise(plan, image[None], FLOAT_TOLERANCE)
        if noise:
            raise UserError(f"{prefix}.c", f"image {number}: {noise[0]}", noise[1])
    taps = network.layers(image)
    expected = {k: np.asarray(v)[0] for k, v in reference.network(plan, image[None]).items()}
    if plan.dtype == "float32":
        # Float rounding differs in every layer: the first that is far off is the one to name.
        for name, value in expected.items():
            near = np.abs(taps[name] - value) <= FLOAT_TOLERANCE * max(1, np.abs(value).max())
            expected[name] = np.where(near, taps[name], value)
    found = compiled.first_difference(plan.layers, taps, expected)
    where = (
        f"differs first in layer {found[0]} at {found[1]}: C {found[2]:g}, JAX {found[3]:g}"
        if found
        else "differs in no layer when its rows are given one by one"
    )
    return UserError(
        f"{prefix}.c",
        f"{int(wrong.sum())} of {wrong.size} logits differ from JAX; image {number} {where}",
        "nothing was written; this is a bug of lenet-export or of the compiler "
        f"({' '.join(compiled.compiler())}): please report it with the model",
    )
