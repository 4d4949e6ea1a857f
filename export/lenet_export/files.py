"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import secrets
from pathlib import Path

from lenet_export.errors import UserError


def write(files: dict[Path, bytes]) -> None:
    """Writes all ``files`` or, as far as the file system allows, none.

    Each goes to a temporary file beside its place first; the renames come last.

    Raises:
        UserError: a folder is missing and cannot be made, or cannot be written.
    """
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            with part.open("xb") as stream:
                parts[path] = part
                stream.write(data)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            path, f"cannot be written: {reason}", "give a folder that you may write to"
        ) from None
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
