"""What a machine must have for a test, as marks."""

import pytest

from mri_tf.core.bfloat16 import bfloat16_available

BFLOAT16 = pytest.mark.skipif(
    not bfloat16_available(),
    reason="TensorFlow cannot compute in bfloat16 on this processor, or under the cap set for oneDNN.",
)
