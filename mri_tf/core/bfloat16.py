"""Whether a training in bfloat16 is possible on this machine's CPU, before TensorFlow is asked to try.

TensorFlow hands bfloat16 to oneDNN on every processor with AVX-512 (or AVX-NE-CONVERT), and asks the
processor only. Where ONEDNN_MAX_CPU_ISA keeps oneDNN from those instructions it has no such operation,
and the process is aborted. oneDNN computes bfloat16 from AVX512_CORE on, in float32 where the processor
has no instructions of its own for it. With TF_ENABLE_ONEDNN_OPTS=0, and on processors with neither
instruction set, TensorFlow's own operations do it, slowly.
"""

import os
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
TO_ONEDNN = {"avx512f", "avx_ne_convert"}  # with any of them TensorFlow takes oneDNN for bfloat16
AVX512_CORE = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}  # what oneDNN's own bfloat16 needs
CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # oneDNN reads the first of them that is set
# Below AVX512_CORE. oneDNN passes over a word that it does not know.
TOO_LOW = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"}


def bfloat16_available() -> bool:
    """Looks at the processor and at this process's environment; TensorFlow is not loaded.

    Returns:
        Whether networks of precision mixed_bfloat16 can be trained and asked on the CPU here. False also
        where nothing is known: no /proc/cpuinfo, no x86 processor, and processors with AVX-NE-CONVERT
        and without AVX-512, on which nobody has tried it.
    """
    flags = _flags()
    if not flags:
        return False
    by_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() not in ("0", "false")
    if not by_onednn or not flags & TO_ONEDNN:
        return True
    return flags >= AVX512_CORE and _cap() not in TOO_LOW


def _flags() -> set[str]:
    """What the first processor can do, as Linux names it; empty where that is not known."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    named = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return set(next(named, ()))


def _cap() -> str:
    return next((os.environ[name] for name in CAPS if name in os.environ), "").upper()
