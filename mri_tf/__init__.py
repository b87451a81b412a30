"""mri_tf: from a small, messy set of MRI or CT examinations to a classifier and a served model."""

import os
import platform

__version__ = "0.1.0"

# TensorFlow reads this when it is imported. Left alone it computes by oneDNN only on processors with
# instructions for neural networks (AVX512_VNNI and later); on others, with AVX2, a step of a 3D network
# took six times as long without (docs/performance.md).
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
