"""Programs that write files at once, or die while they do; without JAX, which forbids forks."""

from __future__ import annotations

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

from lenet_export import files

NAMES = ("lenet.h", "lenet.c", "lenet.json")
DIED = 9


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


def lines_of(step, at=None):
    """How many lines of files.py ``step`` runs; the process ends like a killed one at line ``at``.

    Between two system calls of the module is at least one line.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename != files.__file__:
            return None
        if event in ("line", "return"):
            count += 1
            if count == at:
                os._exit(DIED)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
    return count


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
    """Lets a program die at each line of files.py while it writes over the files of another."""
    lines = lines_of(lambda: files.write(export_of("a", root / "fresh")))
    states = set()
    for at in range(1, lines + 1):
        folder = root / str(at)
        files.write(export_of("a", folder))
        step = lambda folder=folder: files.write(export_of("b", folder))  # noqa: E731
        assert status_of(forked(lambda step=step, at=at: lines_of(step, at))) == DIED, at
        state = there(folder)
        assert tells_the_truth(state), at
        states.add(tuple(data.split()[1][:1] for data in state.values()))
        files.write(export_of("c", folder))
        assert there(folder) == export_of("c", folder), at
        assert others(folder) == set(), at
    assert lines > 50
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
