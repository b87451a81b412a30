"""bfloat16 is said to be there where a training in it ends, and nowhere where it ends the process."""

import os
import subprocess
import sys

import pytest

from mri_tf.core import bfloat16
from mri_tf.core.bfloat16 import bfloat16_available, bfloat16_is_faster

CORE = "flags\t\t: fpu avx2 avx512f avx512bw avx512dq avx512vl"
SETTINGS = ("TF_ENABLE_ONEDNN_OPTS", *bfloat16.CAPS)
STEP = """
import keras, numpy as np
keras.config.set_dtype_policy("mixed_bfloat16")
layers = keras.layers
network = keras.Sequential([
    keras.Input((8, 8, 8, 1)), layers.Conv3D(4, 3, padding="same"), layers.BatchNormalization(),
    layers.Activation("relu"), layers.Flatten(), layers.Dense(8, activation="relu"),
    layers.Dense(2, activation="softmax", dtype="float32"),
])
network.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
image = np.random.default_rng(0).normal(size=(4, 8, 8, 8, 1)).astype(np.float32)
network.fit(image, np.arange(4) % 2, verbose=0)
assert np.isfinite(network.predict(image, verbose=0)).all()
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """`machine(flags, NAME=value)`: a processor with this line of flags (None: nothing is known of it),
    and an environment with these settings."""

    def have(flags: str | None, **environment: str) -> None:
        facts = tmp_path / "cpuinfo"
        if flags is not None:
            facts.write_text(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n")
        monkeypatch.setattr(bfloat16, "CPU_FACTS", facts)
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return have


@pytest.mark.parametrize(
    "flags, environment, faster",
    [
        (CORE, {}, False),
        (f"{CORE} avx512_bf16", {}, True),
        (f"{CORE} amx_bf16", {"ONEDNN_MAX_CPU_ISA": "ALL"}, True),
        (f"{CORE} amx_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, True),
        (f"{CORE} amx_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, False),
        (f"{CORE} amx_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        (f"{CORE} amx_bf16", {"TF_ENABLE_ONEDNN_OPTS": "0"}, False),
        ("flags\t\t: fpu avx2", {}, False),
        (None, {}, False),
    ],
)
def test_it_is_faster_where_the_processor_has_instructions_for_it_that_may_be_used(
    machine, flags, environment, faster
):
    machine(flags, **environment)
    assert bfloat16_is_faster() == faster


@pytest.mark.parametrize(
    "cap, there",
    [
        *((cap, False) for cap in ("SSE41", "AVX", "AVX2", "avx2", "AVX2_VNNI", "AVX2_VNNI_2")),
        *((cap, True) for cap in ("AVX512_CORE", "AVX512_CORE_BF16", "AVX512_CORE_AMX", "ALL", "", "x")),
    ],
)
def test_a_cap_below_avx512_forbids_it(machine, cap, there):
    for name in bfloat16.CAPS:
        machine(CORE, **{name: cap})
        assert bfloat16_available() == there


@pytest.mark.parametrize(
    "flags, there",
    [
        (CORE, True), ("flags\t\t: fpu avx2", True), ("flags\t\t: fpu avx512f", False),
        ("flags\t\t: fpu avx2 avx_ne_convert", False), (None, False),
        ("Features\t: fp asimd bf16", False),  # a processor of another family
    ],
)
def test_the_processor_must_have_all_that_the_library_needs_that_is_given_it(machine, flags, there):
    machine(flags)
    assert bfloat16_available() == there


@pytest.mark.parametrize("value, there", [("0", True), ("false", True), ("1", False)])
def test_a_cap_of_a_library_that_is_not_asked_forbids_nothing(machine, value, there):
    machine(CORE, ONEDNN_MAX_CPU_ISA="AVX2", TF_ENABLE_ONEDNN_OPTS=value)
    assert bfloat16_available() == there


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    ["", "ONEDNN_MAX_CPU_ISA=AVX512_CORE", "ONEDNN_MAX_CPU_ISA=AVX2", "TF_ENABLE_ONEDNN_OPTS=0"],
)
def test_where_it_is_said_to_be_there_a_training_in_it_ends(monkeypatch, setting):
    """The other way round nothing is promised: what is not there may end the process, or not."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv(*setting.split("="))
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0 or not bfloat16_available(), done.stderr[-2000:]
