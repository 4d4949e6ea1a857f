"""How a program begins and ends: whatever its standard streams are, and whenever Ctrl-C comes.

Nothing heavy is imported here, for the imports of a program are what it guards.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TextIO

from lenet_export import packages
from lenet_export.errors import UserError

WINDOWS = os.name == "nt"


def start(name: str, module: str) -> int:
    """Imports ``module`` and runs its ``main``; returns the exit status that it returns.

    Args:
        name: of the program.
        module: of its command line, e.g. ``lenet_export.cli``.
    """
    # NumPy's threads take longer to start than they could save: matrices are small here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_closed_streams()
    _outlive_readers()
    sys.unraisablehook = _ask_again
    try:
        _listen(name)
        command_line = importlib.import_module(module)
        status = int(command_line.main())
        if status > 128:
            _leave(status)
        return status
    except ModuleNotFoundError as error:
        _tell(f"{name}: error: {packages.missing(error, name)}")
        return 1
    except KeyboardInterrupt:  # before main, or behind it
        _tell(f"{name}: interrupted; no file is half written")
        return 128 + signal.SIGINT
    finally:
        ending()


def _listen(name: str) -> None:
    """Lets Ctrl-C end the program ``name`` at once while modules are imported.

    An exception would not do: what is half imported turns it into others, or crashes by it.
    Elsewhere it raises ``KeyboardInterrupt``, as ever.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        at = frame
        while at:
            if at.f_code.co_filename == "<frozen importlib._bootstrap>":
                with contextlib.suppress(OSError):
                    os.write(2, f"{name}: interrupted; no file is half written\n".encode())
                os._exit(128 + number)
            at = at.f_back
        signal.default_int_handler(number, frame)

    listens = signal.getsignal(signal.SIGINT) == signal.default_int_handler  # not under nohup
    if listens and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)


def _ask_again(ignored: sys.UnraisableHookArgs) -> None:
    """Lets Ctrl-C come again soon, where Python would tell of it and go on.

    That is where nothing can be raised: in a destructor, or in JAX's part of a garbage collection.
    """
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, _interrupt).start()
    else:
        sys.__unraisablehook__(ignored)


def _interrupt() -> None:
    """Sends Ctrl-C to the main thread, which may be waiting for something."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _leave(status: int) -> NoReturn:
    """Ends the program after Ctrl-C, without taking Python apart.

    XLA may be compiling yet, in threads of its own, which end in a segmentation fault then.
    """
    ending()
    atexit._run_exitfuncs()
    os._exit(status)


def ending() -> None:
    """Lets Ctrl-C change nothing more: the work is done, and Python is about to leave."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _open_closed_streams() -> None:
    """Opens what the shell closed (``>&-``), or the next file would get its number and its text."""
    handle = os.open(os.devnull, os.O_RDWR)
    while handle <= 2:
        handle = os.open(os.devnull, os.O_RDWR)
    os.close(handle)


class _Outliving(io.FileIO):
    """A stream whose reader may go away (``| head -1``) while the program goes on."""

    def write(self, data: Any) -> int:
        """Writes, or drops what nobody reads.

        Raises:
            UserError: it cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            # Windows calls a pipe that nobody reads an invalid argument.
            if isinstance(error, BrokenPipeError) or (WINDOWS and error.errno == errno.EINVAL):
                return memoryview(data).nbytes
            raise _unwritable(self.fileno(), error) from None


def _outlive_readers() -> None:
    """Lets a file be written and a training go on though nobody reads what is told of it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # A console of Windows is no file of bytes, and nobody can cease to read it.
        if isinstance(stream, io.TextIOWrapper) and not (WINDOWS and stream.isatty()):
            raw = _Outliving(stream.fileno(), "w", closefd=False)
            lines = stream.line_buffering or name == "stderr"
            text = io.TextIOWrapper(
                io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=lines
            )
            setattr(sys, name, text)


def exit_status(program: str, task: Callable[[], object], left: str) -> int:
    """Runs ``task``; returns 0, or 1 after a mistake, which is told, or 130 after Ctrl-C.

    Args:
        program: its name.
        task: what it does.
        left: what an interruption leaves.
    """
    _escape_unprintable()
    try:
        try:
            task()
        finally:
            _flush(sys.stdout)
    except (UserError, OSError, MemoryError) as error:
        _tell(f"{program}: error: {_mistake(error)}")
        return 1
    except KeyboardInterrupt:
        _tell(f"{program}: interrupted; {left}")
        return 130
    return 0


def _tell(text: str) -> None:
    """Prints on the standard error, if there is one."""
    if sys.stderr:
        print(text, file=sys.stderr)


def _escape_unprintable() -> None:
    """Lets what a terminal's encoding lacks be printed as an escape, and nothing fail by it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush(stream: TextIO | None) -> None:
    """Sees to it that all that was printed is where it goes to.

    Raises:
        UserError: it cannot be written.
    """
    try:
        if stream:
            stream.flush()
    except OSError as error:
        assert stream
        raise _unwritable(stream.fileno(), error) from None


def _unwritable(handle: int, error: OSError) -> UserError:
    """What to tell of a stream; all that follows goes nowhere, so that nothing else is told."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, handle)
    os.close(nowhere)
    name = "standard error" if handle == 2 else "standard output"
    what = f"cannot be written: {(error.strerror or str(error)).lower()}"
    return UserError(name, what, "send the output elsewhere to read it")


def _mistake(error: UserError | OSError | MemoryError) -> UserError:
    """What the operating system refused, told as a user's mistake."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return UserError(
            "memory", "there is too little of it", "end other programs, or give smaller data"
        )
    return UserError(
        error.filename or "a file",
        f"cannot be used: {(error.strerror or str(error)).lower()}",
        "check the path, its permissions, and the space left",
    )
