"""Programs that write files at once, or die while they do; without JAX, which forbids forks."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
from hashlib import sha256
from pathlib import Path

from lenet_export import files

NAMES = ("lenet.h", "lenet.c", "lenet.json")
DIED = 9
TRACED = {module.__file__ for module in (files, contextlib)}


def export_of(letter, folder):
    """The files of a made-up export: all tell of the same letter."""
    pair = {name: f"{name} {letter}\n".encode() * 100 for name in NAMES[:2]}
    record = {name: sha256(data).hexdigest() for name, data in pair.items()}
    contents = pair | {NAMES[2]: json.dumps(record).encode()}
    return {folder / name: data for name, data in contents.items()}


def there(folder):
    """What of :data:`NAMES` a folder holds."""
    return {path: path.read_bytes() for path in map(folder.joinpath, NAMES) if path.exists()}


def others(folder):
    """What a folder holds beside :data:`NAMES`."""
    return {path.name for path in folder.iterdir()} - {*NAMES}


def tells_the_truth(state):
    """Whether no file is half written, and a record, if there is one, is that of the others."""
    by_name = {path.name: data for path, data in state.items()}
    letters = {name: data.split()[1] for name, data in by_name.items() if name != NAMES[2]}
    is_whole = all(
        by_name[name] == f"{name} {letter.decode()}\n".encode() * 100
        for name, letter in letters.items()
    )
    record = by_name.get(NAMES[2])
    return is_whole and (
        record is None
        or json.loads(record) == {name: sha256(by_name[name]).hexdigest() for name in NAMES[:2]}
    )


def die_at(line, step):
    """Does ``step``, and ends the process as if it were killed at a line of :data:`TRACED`.

    Args:
        line: which of the lines that run, from 1. Between two system calls is at least one.
        step: what is done to its end if it has fewer lines.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename not in TRACED:
            return None
        count += event in ("line", "return")
        if count == line:
            os._exit(DIED)
        return trace

    sys.settrace(trace)
    step()


def forked(step):
    """A process of its own that does ``step``, and nothing else of this one; its number."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            step()
            status = 0
        finally:
            os._exit(status)
    return process


def status_of(process):
    """How a process ended."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def die_at_each_line(root):
    """Lets a program die at each line that it runs while it writes over the files of another."""
    states = set()
    for line in itertools.count(1):
        folder = root / str(line)
        files.write(export_of("a", folder))
        program = forked(
            lambda line=line, folder=folder: die_at(
                line, lambda: files.write(export_of("b", folder))
            )
        )
        status = status_of(program)
        if status == 0:
            break
        assert status == DIED, line
        state = there(folder)
        assert tells_the_truth(state), line
        states.add(tuple(data.split()[1][:1] for data in state.values()))
        files.write(export_of("c", folder))
        assert there(folder) == export_of("c", folder), line
        assert others(folder) == set(), line
    assert line > 100
    assert len(states) > 3  # the old files, the new ones, and what is between


def write_at_once(root):
    """Lets four programs write into one folder, again and again."""

    def work(letter):
        for n in range(25):
            files.write(export_of(f"{letter}{n}", root))

    programs = [forked(lambda letter=letter: work(letter)) for letter in "abcd"]
    assert [status_of(program) for program in programs] == [0] * 4
    assert len(there(root)) == 3
    assert tells_the_truth(there(root))
    assert others(root) == set()


if __name__ == "__main__":
    os.fsync = lambda _: None  # nothing cuts the power here
    {"die": die_at_each_line, "race": write_at_once}[sys.argv[1]](Path(sys.argv[2]))
