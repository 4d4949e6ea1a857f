"""The program beside its work: closed and broken streams, Ctrl-C at any time, terminal escapes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import lenet_export
import lenet_train.cli
from lenet_export import cli
from lenet_export.errors import UserError, printable
from lenet_export.program import exit_status

PROGRAM = [sys.executable, "-m", "lenet_export"]
EXPORT = [*PROGRAM, "--target", "npz", "--out", "out"]
ESCAPES = "\x1b]0;owned\x07\x1b[31m \x7f\x9b2J\u202e\u2028"


def shell(line, folder):
    """The exit status and standard error of a line of bash whose ``$@`` is the export."""
    done = subprocess.run(
        ["bash", "-c", line, "bash", *EXPORT], cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        '"$@" >&-',
        '"$@" >&- 2>&- <&-',
        'set -o pipefail; "$@" | head -0',
        'set -o pipefail; PYTHONUNBUFFERED=1 "$@" | true',
        'set -o pipefail; "$@" --help | true',
    ],
)
def test_an_output_that_nobody_reads_is_no_mistake(line, tmp_path):
    assert shell(line, tmp_path) == (0, "")
    if "help" not in line:
        assert (tmp_path / "out/lenet.npz").stat().st_size > 60_000


def test_a_message_that_nobody_reads_leaves_the_status(tmp_path):
    line = 'set -o pipefail; "$@" --model none 2>&1 | true'
    assert shell(line, tmp_path)[0] == 1
    assert shell('"$@" --model none 2>&-', tmp_path) == (1, "")


def test_an_output_on_a_full_disk_is_told_and_the_files_are_there(tmp_path):
    status, told = shell('"$@" >/dev/full', tmp_path)
    assert status == 1
    assert told == (
        "lenet-export: error: standard output: cannot be written: no space left on device\n"
        "  send the output elsewhere to read it\n"
    )
    assert (tmp_path / "out/lenet.npz").exists()
    assert shell('"$@" --help >/dev/full', tmp_path)[0] == 1


def test_a_closed_stream_is_not_the_file_that_is_opened_next(tmp_path):
    (tmp_path / "p.py").write_text(
        "import os\n"
        "def main():\n"
        "    os.open('precious', os.O_WRONLY | os.O_CREAT)\n"
        "    return os.write(2, b'a warning of a library') - 22\n"
    )
    code = "import sys; from lenet_export.program import start; sys.exit(start('p', 'p'))"
    line = f'{sys.executable} -c "$0" 2>&- <&-'
    subprocess.run(["bash", "-c", line, code], cwd=tmp_path, check=True)
    assert (tmp_path / "precious").read_bytes() == b""


@pytest.mark.parametrize(
    ("program", "module"),
    [
        *(
            ("export", module)
            for module in ("argparse", "numpy._core", "jinja2", "cli", "jax", "cffi")
        ),
        *(("train", module) for module in ("argparse", "cli", "run", "jax", "orbax.checkpoint")),
    ],
)
def test_ctrl_c_while_modules_are_imported_ends_it_without_a_traceback(program, module, tmp_path):
    name = f"lenet_{program}.{module}" if module in ("cli", "run") else module
    code = (
        "import signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {name!r}: signal.raise_signal(signal.SIGINT)\n"
        f"from lenet_{program}.__main__ import main\n"
        "sys.modules.pop('argparse', None); sys.meta_path.insert(0, Interrupt())\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == f"lenet-{program}: interrupted; no file is half written\n"
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "said"), [(cli, "lenet-export"), (lenet_train.cli, "lenet-train")]
)
def test_ctrl_c_while_arguments_are_parsed_ends_it_without_a_traceback(
    program, said, monkeypatch, capsys
):
    monkeypatch.setattr(program, "_parse", lambda _: signal.raise_signal(signal.SIGINT))
    assert program.main([]) == 130
    left = "file" if program is cli else "model"
    assert capsys.readouterr().err == f"{said}: interrupted; no {left} is half written\n"


def test_ctrl_c_at_any_time_leaves_whole_files_or_none(tmp_path):
    code = (
        "import signal, sys; set_signal = signal.signal\n"
        "def tell(number, action):\n"
        "    before = set_signal(number, action)\n"
        "    print('listens', flush=True)\n"
        "    return before\n"
        "signal.signal = tell\n"
        "from lenet_export.__main__ import main; sys.exit(main())"
    )
    ends = set()
    for place, wait in enumerate((0, 0.1, 0.3, 0.8, 2, 3.5)):
        out = tmp_path / str(place)
        program = subprocess.Popen(
            [sys.executable, "-c", code, "--out", out],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdout.readline() == "listens\n"
        time.sleep(wait)
        program.send_signal(signal.SIGINT)
        _, told = program.communicate()
        ends.add(program.returncode)
        assert "Traceback" not in told
        assert not out.exists() or len(list(out.iterdir())) in (0, 3)
    assert 130 in ends
    assert ends <= {0, 130}


def test_ctrl_c_where_nothing_can_be_raised_ends_it_a_moment_later(tmp_path):
    (tmp_path / "p.py").write_text(
        "import gc, signal, time\n"
        "from lenet_export.program import exit_status\n"
        "def collected(phase, _):\n"
        "    if phase == 'start': signal.raise_signal(signal.SIGINT)\n"
        "def task():\n"
        "    gc.callbacks.append(collected); gc.collect(); gc.callbacks.clear()\n"
        "    time.sleep(60)\n"
        "def main():\n"
        "    return exit_status('p', task, 'nothing is left')\n"
    )
    code = "import sys; from lenet_export.program import start; sys.exit(start('p', 'p'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (130, "p: interrupted; nothing is left\n")


def test_after_ctrl_c_python_is_not_taken_apart_under_what_still_runs(tmp_path):
    # XLA's threads, which compile, end in a segmentation fault then: in half of the programs
    # that were interrupted while they compiled.
    (tmp_path / "p.py").write_text(
        "import atexit, os, signal\n"
        "from lenet_export.program import exit_status\n"
        "class Part:\n"
        "    def __del__(self, write=os.write): write(1, b'taken apart')\n"
        "part = Part()\n"
        "atexit.register(os.write, 1, b'closed, ')\n"
        "def interrupted():\n"
        "    return exit_status('p', lambda: signal.raise_signal(signal.SIGINT), 'none')\n"
        "def done():\n"
        "    return exit_status('p', lambda: None, 'none')\n"
    )
    ends = {"interrupted": (130, "closed, "), "done": (0, "closed, taken apart")}
    for main, (status, told) in ends.items():
        code = (
            f"import sys, p; p.main = p.{main}\n"
            "from lenet_export.program import start; sys.exit(start('p', 'p'))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (status, told)


def test_ctrl_c_while_python_leaves_changes_nothing():
    code = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['lenet-export', '--version']\n"
        "from lenet_export.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_program_that_the_shell_started_in_the_background_is_not_interrupted(tmp_path):
    (tmp_path / "p.py").write_text(
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)\ndef main(): print('on'); return 0"
    )
    code = "import sys; from lenet_export.program import start; sys.exit(start('p', 'p'))"
    line = f'(trap "" INT; {sys.executable} -c "$0")'
    done = subprocess.run(["bash", "-c", line, code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "on\n")


def test_nothing_that_a_terminal_obeys_is_in_a_message(capsys):
    error = UserError(f"a{ESCAPES}\nb", f"is{ESCAPES}\nbelow", f"give{ESCAPES}")
    for text in (str(error), error.where, error.what, error.remedy):
        assert all(char == "\n" or char.isprintable() for char in text)
    assert error.where == (r"a\x1b]0;owned\x07\x1b[31m \x7f\x9b2J\u202e\u2028\nb")
    assert error.what.splitlines()[1] == "below"
    for arguments in (
        ["--model", ESCAPES],
        ["--images", ESCAPES],
        ["--out", f"/proc/{ESCAPES}", "--no-verify"],
    ):
        assert cli.main(arguments) == 1
    for arguments in ([ESCAPES], [f"--target={ESCAPES}"], ["--prefix", ESCAPES], [f"--{ESCAPES}"]):
        with pytest.raises(SystemExit):
            cli.main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert r"\x1b" in err
    assert all(char == "\n" or char.isprintable() for char in err)


def test_letters_of_every_language_are_printable():
    assert printable("zahl-é 数字 ночь") == "zahl-é 数字 ночь"
    assert printable(os.fsdecode(b"\xff")) == r"\udcff"


def test_a_name_of_a_file_that_is_no_text_is_written_and_told(tmp_path):
    line = '"$@" --out "$(printf \'a\\xff\\033\')"'
    for env in ("", "LC_ALL=C ", "PYTHONUTF8=0 LC_ALL=POSIX "):
        assert shell(line.replace('"$@"', f'env {env}"$@"', 1), tmp_path) == (0, "")
    assert (os.fsencode(tmp_path) + b"/a\xff\x1b/lenet.npz") in [
        os.fsencode(path) for path in tmp_path.glob("*/lenet.npz")
    ]


def test_too_little_memory_is_told(capsys):
    def greedy():
        raise MemoryError

    assert exit_status("p", greedy, "") == 1
    assert capsys.readouterr().err.startswith("p: error: memory: there is too little of it\n  ")


def test_the_package_imports_nothing_before_it_is_asked():
    code = "import lenet_export, sys; print(sorted({'numpy', 'jinja2', 'jax'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert {*lenet_export.__all__} <= {*dir(lenet_export)}
    assert lenet_export.UserError is UserError
    with pytest.raises(AttributeError, match="has no attribute 'import_'"):
        _ = lenet_export.import_
