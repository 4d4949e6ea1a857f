"""What runs the C for instruction sets of vectors on a machine that may lack them."""

from __future__ import annotations

from pathlib import Path

from lenet_export.compiled import host_flags, runs_here
from lenet_export.cpus.registry import CPUS
from needs import missing

X86 = ("x86-64-v3", "x86-64-v4")
AVX512 = Path(__file__).with_name("avx512")


def flags_of(cpu: str) -> list[str]:
    """The compiler's flags for ``cpu``; without AVX-512, those with which SIMDe stands for it."""
    if cpu != "x86-64-v4" or runs_here(cpu):
        return host_flags(cpu)
    if not Path("/usr/include/simde").exists():
        missing("AVX-512, and SIMDe for it", "install the package libsimde-dev")
    claims = [f"-D{macro}" for macro in CPUS[cpu].requires]
    return ["-march=x86-64-v3", *claims, "-I", str(AVX512), "-Wl,--no-as-needed", "-lm", "-lmvec"]
