"""Files are written whole, and together: whoever else writes, wherever the program dies."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lenet_export import files
from lenet_export.errors import UserError
from lenet_export.outputs.c import Options, render_c
from lenet_export.plan import make_plan
from needs import require

from .dying import NAMES, export_of, others, tells_the_truth, there
from .networks import named_model


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No wait for the disk: nothing cuts its power here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def run(what, folder):
    """A function of dying.py in a program of its own."""
    program = [sys.executable, Path(__file__).with_name("dying.py"), what, folder]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_program_that_dies_anywhere_leaves_the_old_or_the_new_files_or_no_record(tmp_path):
    run("die", tmp_path)


class PowerCut:
    """A disk that keeps, of the names that were not synced, whichever it likes."""

    def __init__(self, monkeypatch, before):
        self.states = [before]
        self.contents = {}
        self.synced = set()
        replace, unlink, fsync = Path.replace, Path.unlink, os.fsync
        self.pending, self.stable = [], dict(before)

        def renamed(part, path):
            assert part.stat().st_ino in self.synced, "a name before its content is on the disk"
            self.change(path, part.read_bytes())
            return replace(part, path)

        def unlinked(path, missing_ok=False):
            if path.name in NAMES:
                self.change(path, None)
            return unlink(path, missing_ok)

        def synced(handle):
            self.synced.add(os.fstat(handle).st_ino)
            if Path(f"/proc/self/fd/{handle}").is_dir():
                for path, data in self.pending:
                    self.stable[path] = data
                self.pending = []
            return fsync(handle)

        monkeypatch.setattr(Path, "replace", renamed)
        monkeypatch.setattr(Path, "unlink", unlinked)
        monkeypatch.setattr(os, "fsync", synced)

    def change(self, path, data):
        """Notes a change of a name, and every state that a power cut now could leave."""
        self.pending.append((path, data))
        for kept in itertools.product([False, True], repeat=len(self.pending)):
            changes = dict(itertools.compress(self.pending, kept))
            state = {k: v for k, v in (self.stable | changes).items() if v is not None}
            self.states.append(state)


def test_a_power_cut_leaves_the_old_or_the_new_files_or_no_record(tmp_path, monkeypatch):
    files.write(export_of("a", tmp_path))
    disk = PowerCut(monkeypatch, export_of("a", tmp_path))
    files.write(export_of("b", tmp_path))
    assert disk.stable == export_of("b", tmp_path)
    assert disk.pending == []
    assert len({frozenset(state.items()) for state in disk.states}) == 6
    for state in disk.states:
        assert tells_the_truth(state)


def test_programs_that_write_into_one_folder_at_once_leave_the_files_of_one(tmp_path):
    run("race", tmp_path)


def test_two_threads_do_not_meet_either(tmp_path):
    def work(letter):
        for n in range(20):
            files.write(export_of(f"{letter}{n}", tmp_path))

    threads = [threading.Thread(target=work, args=letter) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tells_the_truth(there(tmp_path))
    assert len(there(tmp_path)) == 3


def test_what_a_crash_between_two_renames_leaves_does_not_compile(tmp_path, monkeypatch):
    for name in ("one", "mlp"):
        contents = render_c(make_plan(named_model(name), "int8"), Options())
        assert list(contents)[-1] == "lenet.json"
        paths = {tmp_path / file: data for file, data in contents.items()}
        if name == "one":
            files.write(paths)
    replace = Path.replace

    def dies(part, path):
        if path.name == "lenet.c":
            raise OSError(errno.EIO, "died")
        return replace(part, path)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(UserError, match="died"):
        files.write(paths)
    assert {path.name for path in tmp_path.iterdir()} == {"lenet.h", "lenet.c"}
    command = [require("cc"), "-fsyntax-only", tmp_path / "lenet.c"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert "this lenet.h is of another export" in done.stderr


def test_a_training_s_lock_of_the_folder_is_not_in_the_way(tmp_path):
    import fcntl

    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    files.write(export_of("a", tmp_path))
    os.close(handle)
    assert there(tmp_path) == export_of("a", tmp_path)


def test_without_locks_as_on_windows_it_writes_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    refused = PermissionError(errno.EACCES, "Permission denied")
    opened = os.open

    def no_folder(path, *arguments, **options):
        if Path(path).is_dir():
            raise refused
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", no_folder)
    files.write(export_of("a", tmp_path))
    files.write(export_of("b", tmp_path))
    assert there(tmp_path) == export_of("b", tmp_path)
    assert others(tmp_path) == set()


def test_a_lock_that_the_system_refuses_is_done_without(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    files.write(export_of("a", tmp_path))
    assert there(tmp_path) == export_of("a", tmp_path)


def test_ctrl_c_between_two_renames_waits_for_the_last(tmp_path, monkeypatch):
    files.write(export_of("a", tmp_path))
    replace = Path.replace

    def interrupted(part, path):
        signal.raise_signal(signal.SIGINT)
        return replace(part, path)

    monkeypatch.setattr(Path, "replace", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        files.write(export_of("b", tmp_path))
    assert signal.getsignal(signal.SIGINT) == before
    assert there(tmp_path) == export_of("b", tmp_path)
    assert others(tmp_path) == set()


def test_ctrl_c_before_the_renames_changes_nothing(tmp_path, monkeypatch):
    files.write(export_of("a", tmp_path))
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        files.write(export_of("b", tmp_path))
    assert there(tmp_path) == export_of("a", tmp_path)
    assert others(tmp_path) == set()


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free some space, or give another folder"),
        (errno.EDQUOT, "free some space, or give another folder"),
        (errno.EROFS, "give a folder that you may write to"),
    ],
)
def test_a_disk_that_refuses_is_told_with_its_remedy_and_nothing_changes(
    code, remedy, tmp_path, monkeypatch
):
    files.write(export_of("a", tmp_path))

    def refuse(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError) as caught:
        files.write(export_of("b", tmp_path))
    assert caught.value.where == str(tmp_path / NAMES[0])
    assert caught.value.what == f"cannot be written: {os.strerror(code).lower()}"
    assert caught.value.remedy == remedy
    assert there(tmp_path) == export_of("a", tmp_path)
    assert others(tmp_path) == set()


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_write_through", lambda *_: Path("/dev/full").write_bytes(b"x"))
    with pytest.raises(UserError, match=r"no space left on device\n  free some space"):
        files.write({tmp_path / "lenet.npz": b"x"})


def test_a_link_to_nothing_in_place_of_the_folder_is_told_and_kept(tmp_path):
    (tmp_path / "out").symlink_to("nowhere")
    with pytest.raises(UserError, match="is a link to nothing"):
        files.write(export_of("a", tmp_path / "out"))
    assert (tmp_path / "out").readlink() == Path("nowhere")


def test_a_path_that_is_none_is_told():
    with pytest.raises(UserError, match="embedded null byte"):
        files.write({Path("a\0b/lenet.c"): b""})


def test_one_file_alone_is_replaced_and_never_away(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    files.write({path: b"old"})
    seen = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda part, to: (seen.append(path.read_bytes()), replace(part, to))[1]
    )
    files.write({path: b"new"})
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"


def test_the_longest_name_that_the_system_takes_is_written(tmp_path):
    path = tmp_path / ("x" * 255)
    files.write({path: b"whole"})
    assert path.read_bytes() == b"whole"


def test_files_in_folders_below_are_written_together_too(tmp_path, monkeypatch):
    def package(text):
        names = ("a/lenet.c", "a/b/lenet.h", "lenet.json")
        return {tmp_path / "out" / name: f"{text} {name}".encode() for name in names}

    def found():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    files.write(package("old"))
    assert found() == package("old")
    (tmp_path / "out/a/.lenet-part-0").write_bytes(b"of a killed program")
    replace, seen = Path.replace, []

    def watched(part, path):
        assert part.parent == path.parent
        assert not (tmp_path / "out/lenet.json").exists()
        seen.append(path)
        if path.name == "lenet.h":
            raise OSError(errno.EIO, "died")
        return replace(part, path)

    monkeypatch.setattr(Path, "replace", watched)
    with pytest.raises(UserError, match="died"):
        files.write(package("new"))
    assert seen == list(package("new"))[:2]
    assert set(found()) == set(package("old")) - {tmp_path / "out/lenet.json"}
    monkeypatch.undo()
    files.write(package("new"))
    assert found() == package("new")
