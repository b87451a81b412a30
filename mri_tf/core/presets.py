"""Whether published weights are on this machine; nothing is downloaded."""

import os
from pathlib import Path

CACHES = (("KAGGLEHUB_CACHE", "~/.cache/kagglehub"), ("HF_HOME", "~/.cache/huggingface"))


def is_cached(preset: str) -> bool:
    """Whether a preset of KerasHub, such as "resnet_18_imagenet", is in a cache."""
    for variable, usual in CACHES:
        home = Path(os.environ.get(variable) or usual).expanduser()
        # A download that failed leaves empty folders.
        if any(path.is_file() for path in home.glob(f"**/*{preset}*/**/*")):
            return True
    return False
