"""Files that are written whole or not at all, and those of one export together.

What may go wrong: several programs write into one folder, Ctrl-C, a full disk, a power cut. The
files are written beside their places first, under names of their own, and are on the disk before
anything is renamed. Those of a package lie in folders below one that holds them all. The last of
several files is the record of the others (``lenet.json`` holds their hashes): it goes first and
comes last, so that where it is, the others are those it tells of. A folder without it may hold an
old and a new file, but only after a crash between two renames; an old ``lenet.h`` and a new
``lenet.c`` do not compile together.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import signal
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from lenet_export.errors import UserError

WINDOWS = os.name == "nt"
LOCK = ".lenet-lock"
PART = ".lenet-part-"
REMEDIES = {
    errno.ENOSPC: "free some space, or give another folder",
    errno.EDQUOT: "free some space, or give another folder",
    errno.ENAMETOOLONG: "give a shorter path",
}
FREE = "give a folder that you may write to"
if WINDOWS:  # where a program that has a file open keeps others from replacing it
    FREE += ", or end the program that has the file open"


def hashes_of(files: dict[str, bytes]) -> dict[str, str]:
    """The SHA-256 (hex) of each file."""
    return {name: sha256(data).hexdigest() for name, data in files.items()}


def zip_of(files: dict[str, bytes]) -> bytes:
    """Files in a ZIP, not compressed and of no date: the same bytes on every machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3  # Unix: else it would tell whether it was made on Windows
            archive.writestr(entry, data)
    return buffer.getvalue()


def write(files: dict[Path, bytes]) -> None:
    """Writes all ``files``, which go into one folder or into folders in it, or none of them.

    Another program that writes into the folder in this way waits, where the system can lock files.

    Raises:
        UserError: a folder is missing and cannot be made, or cannot be written, or is full.
    """
    folders = sorted({path.parent for path in files})
    root = Path(os.path.commonpath(folders))
    parts: dict[Path, Path] = {}
    path = root
    try:
        _make(root)
        with _locked(root, folders), contextlib.ExitStack() as stack:
            for path in folders:
                _make(path)
            for path, data in files.items():
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "is a folder")
                parts[path] = path.with_name(f"{PART}{secrets.token_hex(8)}")
                stack.callback(parts[path].unlink, missing_ok=True)
                _write_through(parts[path], data)
            with _uninterrupted():
                _rename(parts)
    except (OSError, ValueError) as error:
        code, told = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
        raise UserError(
            path,
            f"cannot be written: {(told or str(error)).lower()}",
            REMEDIES.get(code or 0, FREE),
        ) from None


def _make(folder: Path) -> None:
    """Makes the folder, unless it is there."""
    if folder.is_symlink() and not folder.exists():
        raise NotADirectoryError(errno.ENOTDIR, "is a link to nothing")
    folder.mkdir(parents=True, exist_ok=True)


def _write_through(part: Path, data: bytes) -> None:
    """Writes a new file down to the disk."""
    with part.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _rename(parts: dict[Path, Path]) -> None:
    """Puts the parts into their places, so that no crash leaves a record of other files."""
    *others, record = parts
    if others:
        record.unlink(missing_ok=True)
        _sync(record.parent)
    for path in others:
        parts[path].replace(path)
    for folder in {path.parent for path in others}:
        _sync(folder)
    parts[record].replace(record)
    _sync(record.parent)


def _sync(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system can do that: not on Windows."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _locked(root: Path, folders: list[Path]) -> Iterator[None]:
    """Keeps ``root`` for this program, and removes what killed ones left in the folders in it.

    The lock is on a file of its own, for a whole training locks the folder itself. Where there are
    no locks (Windows, some network drives) nobody waits, and nothing is removed.
    """
    with contextlib.ExitStack() as lock:
        if _lock(root / LOCK, lock):
            for left in (left for folder in folders for left in folder.glob(f"{PART}*")):
                left.unlink(missing_ok=True)
        yield


def _lock(path: Path, stack: contextlib.ExitStack) -> bool:
    """Waits for the lock on the file at ``path``, made if need be; ``stack`` gives it back.

    Returns:
        Whether there are locks here.
    """
    try:
        import fcntl
    except ImportError:
        return False
    with contextlib.suppress(OSError):
        while True:
            with contextlib.ExitStack() as attempt:
                handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
                attempt.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
                # Whoever had the lock has removed its file, and another may have made a new one.
                if _is_at(handle, path):
                    attempt.callback(path.unlink, missing_ok=True)
                    stack.enter_context(attempt.pop_all())
                    return True
    return False


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is the one at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C wait until what is in it is done."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is None:  # set by no Python
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
