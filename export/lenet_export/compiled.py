"""Generated C, compiled by the system's compiler and loaded through cffi."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from lenet_export.cpus.registry import CPUS
from lenet_export.errors import UserError
from lenet_export.files import WINDOWS
from lenet_export.plan import S8, Array, Layer, Plan
from lenet_export.preparation import Prepared, check_picture
from lenet_export.reference import Images, Outputs
from lenet_export.verdict import Readings

FLAGS = ("-std=c99", "-O2")
#: Those of compilers that take Microsoft's options.
CL, CL_FLAGS = ("clang-cl", "cl"), ("/O2",)
COMPILERS = ("cc", "gcc", "clang", *(CL if WINDOWS else ()))
#: Linked with -ffast-math or -Ofast, a library would flush denormal floats to zero in the whole
#: process that loads it, and in the JAX that it is compared with.
EXACT_FLOATS = ("-O0", "-fno-fast-math", "-fno-unsafe-math-optimizations")
NOT_VERIFIED = "; to export only: --no-verify"
TEMPORARY = f"set TMPDIR to a folder with room that programs may run from{NOT_VERIFIED}"
NOTHING = "int main(void) { return 0; }\n"  # a program that ends well
ALIGNMENT = 64  # bytes, at a multiple of which a blob of any CPU may begin
#: Headers of CPUs that this machine is not, with their intrinsics in plain C.
IMITATED = Path(__file__).parent / "imitated"


def compiler() -> list[str]:
    """The C compiler's command: ``$CC``, or the first of :data:`COMPILERS` that is there.

    Raises:
        UserError: there is none.
    """
    command = given_compiler() or [next(filter(shutil.which, COMPILERS), COMPILERS[0])]
    if shutil.which(command[0]) is None:
        raise UserError(
            f"C compiler {command[0]}",
            "is not installed, so the C cannot be compiled and verified",
            "install gcc or clang (Debian: apt-get install gcc; Windows: MinGW, or begin in Visual "
            f"Studio's command prompt, where cl is), or set CC{NOT_VERIFIED}",
        )
    return command


def takes_words_of_cl(command: Sequence[str]) -> bool:
    """Whether a compiler takes Microsoft's options, be it Microsoft's own or LLVM's clang-cl."""
    names = (PureWindowsPath(word).stem.lower() for word in command)
    return "--driver-mode=cl" in command or any(name in CL for name in names)


def given_compiler() -> list[str]:
    """The words of ``$CC``; none where it is not set.

    Raises:
        UserError: it is no command.
    """
    given = os.environ.get("CC", "")
    try:
        return split_command(given, is_windows=WINDOWS)
    except ValueError:
        raise UserError(f"CC={given}", "is not a command", "set CC to a C compiler") from None


def split_command(text: str, is_windows: bool) -> list[str]:
    r"""The words of a command, as the system's shell parts them; a whole path may have spaces.

    Args:
        text: e.g. ``ccache gcc -m32``, or ``C:\Program Files\LLVM\bin\clang.exe``.
        is_windows: whether ``\`` parts folders and quotes nothing.

    Raises:
        ValueError: a quotation does not end.
    """
    if text and shutil.which(text):
        return [text]
    words = shlex.split(text, posix=not is_windows)
    return [word.strip("\"'") for word in words] if is_windows else words


def _run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a compiler prints, run in ``folder``.

    Raises:
        UserError: it cannot be started, or refuses the C.
    """
    name = shlex.join(map(str, command[:1]))
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(name, f"cannot be run: {reason}", "set CC to a C compiler") from None
    if done.returncode:
        raise UserError(
            name,
            f"the compiler refuses the generated C:\n{done.stderr.strip() or done.stdout.strip()}",
            "set CC to a C99 compiler for this machine (gcc or clang, not a cross compiler), "
            "or give --no-verify; if it is one, report this as a bug",
        )
    return done.stdout


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A new folder for a program or a library, gone afterwards; the system may refuse to run them.

    Windows keeps the file of a loaded library: it is removed when Python ends.

    Raises:
        UserError: there is no room for one, or no program may run from there.
    """
    folder = ""
    try:
        folder = tempfile.mkdtemp(prefix="lenet-export-")
        _check_programs_run(Path(folder))
        yield Path(folder)
    except OSError as error:
        place = str(Path(folder).parent) if folder else os.environ.get("TMPDIR", "")
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"temporary folder {place}".rstrip(),
            f"cannot be used to compile and verify the C: {reason}",
            TEMPORARY,
        ) from None
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            if Path(folder).exists():
                atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _check_programs_run(folder: Path) -> None:
    """Checks that the system runs programs and loads libraries from ``folder``.

    Raises:
        UserError: it is mounted without that: noexec.
    """
    if not WINDOWS and os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise UserError(
            f"temporary folder {folder.parent}",
            "is mounted noexec, so the compiled C cannot be loaded and verified",
            TEMPORARY,
        )


def host_flags(cpu: str) -> list[str]:
    """What this machine's compiler is told, so that it takes the C for ``cpu``.

    Intrinsics that it lacks are imitated, and the macros of a compiler that has them defined.
    """
    base = CPUS[cpu].imitated_on
    if CPUS[cpu].features and (not base or has_instructions_of(cpu)):
        return list(CPUS[cpu].flags)
    flags = CPUS[base].flags if base else ()
    return [*flags, "-I", str(IMITATED), *(f"-D{macro}=1" for macro in CPUS[cpu].requires)]


def runs_here(cpu: str) -> bool:
    """Whether this machine has the instructions of ``cpu``, or imitates what it lacks.

    Raises:
        UserError: there is no compiler, by which it is asked, or none for this machine.
    """
    if not CPUS[cpu].features or _runs(_question_of_features(cpu), tuple(compiler())):
        return True
    _compiler_of_this_machine()  # No answer of a cross compiler is one.
    return False


def cpu_here() -> str:
    """``auto``: the CPU whose C is the fastest that this machine runs; ``generic``, if none's is.

    Raises:
        UserError: there is no compiler, by which it is asked, or none for this machine.
    """
    try:
        _compiler_of_this_machine()
        return next((cpu for cpu in reversed(CPUS) if has_instructions_of(cpu)), "generic")
    except UserError as error:
        remedy = f"{error.remedy.removesuffix(NOT_VERIFIED)}, or name the CPU"
        raise UserError(
            "--cpu auto", f"asks the machine by a C compiler; {error.where} {error.what}", remedy
        ) from None


def _compiler_of_this_machine() -> list[str]:
    """:func:`compiler`, of which a program was run.

    Raises:
        UserError: there is none, or it compiles for another machine.
    """
    command = compiler()
    if not _runs(NOTHING, tuple(command)):
        raise UserError(
            shlex.join(command),
            "makes no program that this machine runs",
            f"set CC to a C compiler for this machine, not a cross compiler{NOT_VERIFIED}",
        )
    return command


def has_instructions_of(cpu: str) -> bool:
    """Whether this machine is known to have all instructions of ``cpu``: none is imitated."""
    if not CPUS[cpu].instruction:
        return bool(CPUS[cpu].features) and runs_here(cpu)
    command = (*compiler(), *CPUS[cpu].flags)
    return runs_here(cpu) and _runs(_question_of_instruction(cpu), command)


def _question_of_features(cpu: str) -> str:
    """A program that ends well where there are the features of ``cpu``."""
    has = [f'__builtin_cpu_supports("{feature}")' for feature in CPUS[cpu].features]
    return f"int main(void) {{ return ({' && '.join(has)}) ? 0 : 1; }}\n"


def _question_of_instruction(cpu: str) -> str:
    """A program that ends well where there are a compiler for ``cpu``, and its instruction."""
    headers = "".join(f"#include <{header}>\n" for header in CPUS[cpu].headers)
    asks = f'int main(void) {{ __asm__ volatile("{CPUS[cpu].instruction}"); return 0; }}\n'
    return headers + asks


@functools.cache
def _runs(text: str, command: tuple[str, ...]) -> bool:
    """Whether a program ends well; another CPU's compiler refuses it, or this machine its code."""
    with _temporary_folder() as folder:
        # Windows runs nothing of another suffix; the others do not mind this one.
        source, program = folder / "runs.c", folder / "runs.exe"
        source.write_bytes(text.encode())
        words: list[str | Path] = ["-o", program, source]
        where = None
        if takes_words_of_cl(command):
            words, where = ["/nologo", f"/Fe{program.name}", source.name], folder
        compiled = subprocess.run([*command, *words], cwd=where, capture_output=True)
        try:
            return not compiled.returncode and not subprocess.run([program]).returncode
        except OSError:  # there is none, or it is another machine's
            return False


def compile_library(
    files: dict[str, bytes], prefix: str, folder: Path, command: Sequence[str]
) -> Path:
    """Writes ``files`` to ``folder`` and compiles them; the path of the shared library."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    source = folder / f"{prefix}.c"
    if source.name not in files:  # --single-file
        text = f'#define {prefix.upper()}_IMPLEMENTATION\n#include "{prefix}.h"\n'
        source.write_bytes(text.encode())
    if WINDOWS:
        asked = _asked_for(declarations(folder / f"{prefix}.h", command), prefix)
        source.write_bytes(source.read_bytes() + asked.encode())
    return link_library(source, command)


def _asked_for(declared: str, prefix: str) -> str:
    """What asks Microsoft's linker for each function: it puts no other into a library's table.

    Compilers whose linker does so unasked, as MinGW's, know no such line and pass it over.
    """
    names = dict.fromkeys(re.findall(rf"\b({prefix}_\w+)\(", declared))
    return "".join(f'#pragma comment(linker, "/EXPORT:{name}")\n' for name in names)


def link_library(source: Path, command: Sequence[str]) -> Path:
    """Compiles ``source``; the path of the shared library, beside it."""
    library, code = source.with_suffix(".dll" if WINDOWS else ".so"), source.with_suffix(".o")
    if takes_words_of_cl(command):  # to which a whole path is an option, as /home
        _run([*command, "/nologo", "/LD", f"/Fe{library.name}", source.name], source.parent)
        return library
    # All code of Windows may lie anywhere, and its clang refuses to be told so.
    _run([*command, *([] if WINDOWS else ["-fPIC"]), "-c", "-o", code, source])
    _run([*command, *EXACT_FLOATS, "-shared", "-o", library, code])
    return library


def declarations(header: Path, command: Sequence[str]) -> str:
    """The declarations of ``header`` without comments and macros, as cffi takes them.

    The compiler's own preprocessor takes them off; it finds an empty ``stdint.h``, since cffi knows
    those types.
    """
    empty = header.parent / "empty"
    empty.mkdir(exist_ok=True)
    (empty / "stdint.h").write_bytes(b"")
    if takes_words_of_cl(command):
        options = ["/nologo", "/EP", "/TC", "/X", "/Iempty"]
        return _run([*command, *options, header.name], header.parent)
    options = ["-x", "c", "-E", "-P", "-nostdinc", "-I"]
    return _run([*command, *options, empty, header])


class CompiledNetwork:
    """A network of generated C in a shared library, with NumPy arrays in and out.

    cffi parses the generated header itself, so a wrong declaration in it is found here.
    """

    def __init__(self, plan: Plan, files: dict[str, bytes], prefix: str = "lenet") -> None:
        """Compiles ``files`` (of :func:`lenet_export.outputs.c.render_c`) and loads the library.

        Args:
            plan: what the files were printed from.
            files: their bytes by name.
            prefix: of the public names.

        Raises:
            UserError: there is no compiler, or it refuses the files.
        """
        import cffi

        self.plan, self._prefix = plan, prefix
        self._ffi = cffi.FFI()
        command = compiler()
        if takes_words_of_cl(command) and CPUS[plan.cpu].requires:
            raise UserError(
                f"--cpu {plan.cpu}",
                f"its kernels are in words that {shlex.join(command)} lacks",
                f"set CC to gcc or clang{NOT_VERIFIED}",
            )
        if not runs_here(plan.cpu):
            raise UserError(
                f"--cpu {plan.cpu}",
                "this machine lacks its instructions, so the C cannot be verified here",
                "give --no-verify, or verify on a machine that has them",
            )
        # The loader keeps the library; a new folder each time keeps it from finding an older one.
        with _temporary_folder() as folder:
            flags = [*(CL_FLAGS if takes_words_of_cl(command) else FLAGS), *host_flags(plan.cpu)]
            library = compile_library(files, prefix, folder, [*command, *flags])
            try:
                self._ffi.cdef(declarations(folder / f"{prefix}.h", command))
                self._lib = self._ffi.dlopen(str(library))
            except (OSError, cffi.FFIError, cffi.CDefError) as error:
                raise UserError(
                    shlex.join(command),
                    f"what it made cannot be loaded: {error}",
                    "set CC to a C compiler for this machine and its Python",
                ) from None
        if folder.exists():  # of Windows: unloaded first, for what is registered last runs first
            atexit.register(self._ffi.dlclose, self._lib)
        self.tables: Any = None
        self._memory: list[Any] = []
        if f"{prefix}_tables.bin" in files:
            found, self.tables = self.bind(files[f"{prefix}_tables.bin"])
            if found != "bound":
                what = f"is not bound by its own code: {found}"
                raise UserError(f"{prefix}_tables.bin", what, "export all files again, together")
        self.workspace = self.new_workspace()

    def function(self, name: str) -> Any:
        """A C function by its name without the prefix, e.g. ``predict``.

        One that takes tables first is given those that are bound, :attr:`tables`.
        """
        function = getattr(self._lib, f"{self._prefix}_{name}")
        takes = self._ffi.typeof(function).args
        if self.tables is None or not takes or takes[0] != self._ffi.typeof(self.tables):
            return function
        return functools.partial(function, self.tables)

    def bind(self, blob: bytes, tables: Any = None, offset: int = 0) -> tuple[str, Any]:
        """What ``lenet_bind`` finds of a blob, and what is bound afterwards.

        Args:
            blob: is kept, in memory of its own.
            tables: what is bound before; ``None``: nothing.
            offset: of its first byte, from where such blobs may begin.

        Returns:
            In small words, ``bound``, ``damaged``, ``older``; and the tables, or ``None``.
        """
        memory = self._ffi.new("uint8_t[]", ALIGNMENT + offset + len(blob))
        begin = memory + (-int(self._ffi.cast("uintptr_t", memory)) % ALIGNMENT + offset)
        self._ffi.memmove(begin, blob, len(blob))
        bound = self._ffi.new(f"{self._prefix}_tables const **", tables or self._ffi.NULL)
        found = getattr(self._lib, f"{self._prefix}_bind")(bound, begin, len(blob))
        if found == 0:
            self._memory.append(memory)
        return self._name_of("binding", found).removeprefix("bind "), bound[0] or None

    @property
    def workspace_bytes(self) -> int:
        """``sizeof(lenet_workspace)``."""
        return int(self._ffi.sizeof(f"{self._prefix}_workspace"))

    def new_workspace(self) -> Any:
        """A workspace of zeros."""
        return self._ffi.new(f"{self._prefix}_workspace *")

    def workspace_in(self, memory: npt.NDArray[np.uint8], offset: int = 0) -> Any:
        """The workspace that begins at byte ``offset`` of ``memory``, which must outlive it."""
        start = self._ffi.cast("uint8_t *", self._ffi.from_buffer(memory))
        return self._ffi.cast(f"{self._prefix}_workspace *", start + offset)

    def bytes_of(self, image: Images) -> Any:
        """A contiguous uint8 array as the ``const uint8_t *`` that C takes."""
        return self._ffi.from_buffer("uint8_t[]", np.ascontiguousarray(image))

    def numbers_of(self, values: Array) -> Any:
        """An array of logits, int32 or float32, as the pointer that C takes."""
        c_type = "float[]" if values.dtype == np.float32 else "int32_t[]"
        return self._ffi.from_buffer(c_type, values, require_writable=True)

    def new_logits(self) -> Array:
        """An array for the logits of one image."""
        return np.empty(self.plan.outputs, self.plan.logit_dtype)

    def logits(self, images: Images) -> Array:
        """The logits of each image, ``(images, classes)``, int32 or float32."""
        results = np.stack([self.new_logits()] * len(images))
        function, workspace = self.function("logits"), self.workspace
        for image, result in zip(images, results, strict=True):
            function(workspace, self.bytes_of(image), self.numbers_of(result))
        return results

    def read(self, images: Images) -> tuple[Array, Readings]:
        """The logits of each image, as :meth:`logits` gives them, and what it is read as."""
        results = np.stack([self.new_logits()] * len(images))
        found = Readings(
            np.empty(len(images), np.intp), results[:, 0].copy(), np.empty(len(images), np.intp)
        )
        logits, decide = self.function("logits"), self.function("decide")
        for at, (image, result) in enumerate(zip(images, results, strict=True)):
            numbers = self.numbers_of(result)
            reading = decide(numbers, logits(self.workspace, self.bytes_of(image), numbers))
            found.digits[at], found.gaps[at] = reading.digit, reading.gap
            found.verdicts[at] = reading.verdict
        return results, found

    def prepare(self, picture: npt.NDArray[np.uint8]) -> Prepared:
        """What the C finds in a grey picture ``(rows, columns)``; for exports ``--with picture``.

        Raises:
            UserError: it is none that C can prepare.
        """
        rows, columns = check_picture(picture).shape
        ws = self._ffi.new(f"{self._prefix}_preparation *")
        found = self._ffi.new(f"{self._prefix}_prepared *")
        image = np.empty(self.plan.input_shape[:2], np.uint8)
        verdict = self.function("prepare")(
            *(ws, self.bytes_of(picture), rows, columns, columns),
            *(self._ffi.from_buffer("uint8_t[]", image, require_writable=True), found),
        )
        box = (found.top, found.left, found.bottom, found.right)
        return Prepared(image, verdict == 0, bool(found.is_dark), box, found.contrast)

    def read_picture(self, picture: npt.NDArray[np.uint8]) -> Any:
        """C's reading of the digit in a grey picture; for exports ``--with picture``.

        Raises:
            UserError: it is none that C can prepare.
        """
        rows, columns = check_picture(picture).shape
        ws = self._ffi.new(f"{self._prefix}_picture *")
        return self.function("read_picture")(ws, self.bytes_of(picture), rows, columns, columns)

    def scan(self, picture: npt.NDArray[np.uint8]) -> tuple[Prepared, Any]:
        """What the C finds and reads in a picture whose rows come once; ``--with picture``.

        Args:
            picture: uint8 ``(rows, columns)``, as :func:`lenet_export.prepare_scan` takes it.

        Returns:
            What was found, and C's reading.
        """
        rows, columns = picture.shape
        ws = self._ffi.new(f"{self._prefix}_scan *")
        self.function("scan_begin")(ws, rows, columns)
        take = self.function("scan_row")
        for row in picture:
            take(ws, self.bytes_of(row))
        reading = self.function("scan_finish")(ws)
        found, pixels = ws.prepared, self._ffi.buffer(ws.shared.read.image)
        image = np.frombuffer(pixels, np.uint8).reshape(self.plan.input_shape[:2]).copy()
        box = (found.top, found.left, found.bottom, found.right)
        has_ink = reading.digit >= 0
        return Prepared(image, has_ink, bool(found.is_dark), box, found.contrast), reading

    def verdict_name(self, verdict: int) -> str:
        """A verdict of the C in small words: ``accepted``, ``unsure``, ``no ink``."""
        return self._name_of("verdict", verdict)

    def _name_of(self, kind: str, value: int) -> str:
        """A value of an enum of the C in small words."""
        name = self._ffi.string(self._ffi.cast(f"{self._prefix}_{kind}", value))
        return str(name).removeprefix(f"{self._prefix.upper()}_").lower().replace("_", " ")

    def text(self, chars: Any) -> str:
        """A text of the C, as ``lenet_amount`` has one."""
        return str(self._ffi.string(chars).decode())

    def read_amount(self, picture: npt.NDArray[np.uint8]) -> Any:
        """C's reading of a line of digits, a ``lenet_amount``; for exports ``--with amount``.

        Args:
            picture: uint8 ``(rows, columns)``.
        """
        rows, columns = picture.shape
        ws = self._ffi.new(f"{self._prefix}_line *")
        return self.function("read_amount")(ws, self.bytes_of(picture), rows, columns, columns)

    def push_amount(self, picture: npt.NDArray[np.uint8]) -> Any:
        """C's reading of a line whose columns come once, as :meth:`read_amount` gives it."""
        ws = self._ffi.new(f"{self._prefix}_columns *")
        self.function("amount_begin")(ws, *picture.shape)
        take = self.function("amount_column")
        for column in picture.T:
            take(ws, self.bytes_of(column))
        return self.function("amount_finish")(ws)

    def layers(self, image: Images) -> Outputs:
        """Every layer's output for one image: the debug tap, which costs the C nothing.

        The image is given row by row. After each, the rows that are new in the strips are
        read from the workspace, which the caller owns.

        Returns:
            By the layer's name, its values as float64 ``output_shape``; NaN where a strip had
            moved on before it could be read (where its predecessor's border below makes more
            rows at once than it holds).
        """
        plan, workspace = self.plan, self.workspace
        seen = {layer.name: np.full(layer.output_shape, np.nan) for layer in plan.layers}
        done = dict.fromkeys(seen, 0)
        logits = self.new_logits()
        self.function("begin")(workspace)
        for row in image:
            self.function("row")(workspace, self.bytes_of(row))
            self._read_rows(seen, done)
        self.function("finish")(workspace, self.numbers_of(logits))
        for layer in plan.dense_layers[:-1]:
            seen[layer.name][:] = self._array(workspace.shared.units, layer)[: layer.outputs]
        seen[plan.layers[-1].name][:] = logits
        return seen

    def _array(self, struct: Any, layer: Layer) -> Array:
        """The buffer that ``layer`` writes, flat, its slack included; codes as they are."""
        field = getattr(struct, layer.output)
        values = np.frombuffer(self._ffi.buffer(field), layer.output_dtype)
        return values.astype(np.int16) + 128 if layer.output_dtype == S8 else values

    def _read_rows(self, seen: Outputs, done: dict[str, int]) -> None:
        """Copies the rows of each convolution's output that are new since the last call."""
        ready = _ready_rows(self.plan, int(self.workspace.row))
        for layer, following in zip(self.plan.row_layers, self.plan.layers[1:], strict=False):
            rows, columns, _ = layer.output_shape
            new = range(done[layer.name], ready[layer.name])
            done[layer.name] = ready[layer.name]
            if not following.reads_rows:
                whole = self._array(self.workspace, layer)[: layer.outputs]
                whole = whole.reshape(layer.output_shape)
                seen[layer.name][new.start : new.stop] = whole[new.start : new.stop]
                continue
            size, step = following.strip_rows, following.row_step
            strip = self._array(self.workspace.shared.rows, layer).reshape(size, -1)
            given = following.rows_padded if new.stop == rows else following.above + new.stop
            first = -(-max(0, given - size) // step) * step  # how far the strip has moved on
            for y in new:
                place = y + following.above - first
                if place >= 0:
                    row = _codes(strip[place, following.left :], following)
                    seen[layer.name][y] = row[:columns]


def _codes(row: Array, layer: Layer) -> Array:
    """The values ``(columns, channels)`` of a row of the strip that ``layer`` reads."""
    channels = layer.input_shape[-1]
    row = row[: len(row) // channels * channels].reshape(-1, channels)
    bits = layer.layout.pair_bits
    if not bits:
        return row
    pairs = np.stack([row % 2**bits, row >> bits], axis=1)
    return pairs.reshape(-1, channels)


def _ready_rows(plan: Plan, image_rows: int) -> dict[str, int]:
    """How many rows of each convolution's output there are after so many of the image."""
    ready: dict[str, int] = {}
    rows = image_rows
    for layer in plan.row_layers:
        rows = ready[layer.name] = layer.rows_made(rows)
    return ready


def first_difference(
    layers: Sequence[Layer], compiled: Outputs, reference: Outputs
) -> tuple[str, tuple[int, ...], float, float] | None:
    """The first layer and place at which two runs of one image differ, with both values.

    Args:
        layers: the chain, in the order to look at.
        compiled: of :meth:`CompiledNetwork.layers`.
        reference: arrays of the same shapes.
    """
    for layer in layers:
        ours, theirs = compiled[layer.name], reference[layer.name]
        differ = ~np.isnan(ours) & (ours != theirs)
        if differ.any():
            place = tuple(int(i) for i in np.argwhere(differ)[0])
            return layer.name, place, float(ours[place]), float(theirs[place])
    return None
