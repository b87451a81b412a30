"""Whether this machine's CPU can train in bfloat16, and gains by it, found out without TensorFlow.

On processors with AVX-512 (or AVX-NE-CONVERT) TensorFlow leaves bfloat16 to oneDNN. oneDNN needs
AVX512_CORE for it; where the processor or ONEDNN_MAX_CPU_ISA denies that, the process is aborted. With
TF_ENABLE_ONEDNN_OPTS=0, and on processors with neither instruction set, TensorFlow computes bfloat16
itself, slowly.
"""

import os
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
TO_ONEDNN = {"avx512f", "avx_ne_convert"}  # with any of them TensorFlow uses oneDNN for bfloat16
AVX512_CORE = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}  # what oneDNN needs for bfloat16
NATIVE = {"avx512_bf16", "amx_bf16"}  # instructions for bfloat16; without them it is slower than float32
# Caps under which oneDNN computes bfloat16 without such instructions.
WITHOUT_NATIVE = {"AVX512_CORE", "AVX512_CORE_VNNI"}
CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # oneDNN reads the first of them that is set
# Below AVX512_CORE. oneDNN ignores a word that it does not know.
TOO_LOW = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"}


def bfloat16_available() -> bool:
    """Whether networks of precision mixed_bfloat16 can be trained and used on this CPU.

    False also where it is not known: without /proc/cpuinfo, on other than x86 processors, and on those
    with AVX-NE-CONVERT but not AVX-512, which are untested.
    """
    flags = _flags()
    if not flags:
        return False
    if not _by_onednn() or not flags & TO_ONEDNN:
        return True
    return flags >= AVX512_CORE and _cap() not in TOO_LOW


def bfloat16_is_faster() -> bool:
    """Whether trainings of precision mixed_bfloat16 are faster on this CPU than in float32."""
    native = bool(_flags() & NATIVE) and _cap() not in WITHOUT_NATIVE
    return native and _by_onednn() and bfloat16_available()


def _by_onednn() -> bool:
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() not in ("0", "false")


def _flags() -> set[str]:
    """The instruction sets of the first processor, in Linux's names; empty if not known."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    flags = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return set(next(flags, ()))


def _cap() -> str:
    return next((os.environ[name] for name in CAPS if name in os.environ), "").upper()
