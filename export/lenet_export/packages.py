"""Packages that not every user needs: which extra brings them, and what is told without them."""

from __future__ import annotations

from importlib.util import find_spec

from lenet_export.errors import UserError

#: What is imported for each extra of pyproject.toml, by the extra's name.
EXTRAS = {
    "verify": ("cffi", "jax"),
    "read": ("cffi", "matplotlib", "PIL"),
    "train": ("flax", "jax", "matplotlib", "optax", "orbax", "PIL", "pooch", "rich", "scipy"),
    "tensorboard": ("tensorboardX",),
    "evidence": ("unicorn",),
    "completion": ("shtab",),
}
#: The extra that a program's user is told first.
OF_PROGRAM = {"lenet-export": "verify", "lenet-read": "read", "lenet-train": "train"}


def install(extra: str) -> str:
    """The command that installs an extra; Windows' shell knows no single quotes."""
    return f'pip install "lenet-export[{extra}]"'


def require(extra: str, where: str) -> None:
    """Makes sure that the packages of an extra are there; imports none of them.

    Args:
        extra: its name.
        where: what needs them, for the message.

    Raises:
        UserError: one is not.
    """
    names = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if names:
        many = "packages" if len(names) > 1 else "package"
        is_not = "are not" if len(names) > 1 else "is not"
        what = f"the {many} {' and '.join(names)} {is_not} installed"
        raise UserError(where, what, install(extra))


def missing(error: ModuleNotFoundError, program: str) -> UserError:
    """What a user of a program is told of a package that is not there.

    Raises:
        ModuleNotFoundError: ``error``, which is of no package that a program imports.
    """
    # JAX without its jaxlib raises another one, without a name.
    name = (error.name or getattr(error.__cause__, "name", None) or "").partition(".")[0]
    package = {"jaxlib": "jax"}.get(name, name)
    extras = [OF_PROGRAM[program], *EXTRAS]
    extra = next((extra for extra in extras if package in EXTRAS[extra]), None)
    if extra is None and name not in ("jinja2", "markupsafe", "numpy", "safetensors"):
        raise error
    remedy = install(extra) if extra else "pip install --force-reinstall lenet-export"
    return UserError(f"the package {name}", "is not installed", remedy)
