"""The files that TF Serving is started with, for what lies in a folder of exported models.

models.config      which versions are loaded, and the labels `stable` and `canary`
batching.config    how requests are batched
monitoring.config  Prometheus metrics

Written by export without protocol buffers; the embedded server reads models.config too.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.serve.version_folders import version_folders

MODELS_CONFIG, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"
MOUNT = "/models"  # where compose.yaml shows the folder to TF Serving
STABLE, CANARY = "stable", "canary"
METRICS_PATH = "/monitoring/prometheus/metrics"
HEAD = """# Written by python -m mri_tf.export, which keeps `stable` where it is: to release a version,
# give its number to `stable` here. Requests without a label go to the newest version.
"""
BATCHING_TEXT = """max_batch_size { value: 32 }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 1000 }
num_batch_threads { value: 2 }
"""
MONITORING_TEXT = f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n'


@dataclass(frozen=True)
class ModelRule:
    """Which versions of a model are served: `latest` so many, those named, or (0) all."""

    latest: int = 1
    specific: tuple[int, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)

    def choose(self, versions: list[int]) -> list[int]:
        """Of the versions on disk (ascending) those to serve, newest first."""
        if self.specific:
            return [number for number in reversed(versions) if number in self.specific]
        return versions[::-1][: self.latest or None]


def check_config_files(root: Path) -> None:
    """Raises InputError where `write_config_files` could not keep what is there."""
    path = Path(root) / MODELS_CONFIG
    try:
        if os.path.lexists(path):
            path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{MODELS_CONFIG} is a text file.", f"{path}, which is none ({type(error).__name__})",
            "Mend or remove it.",
        ) from None  # fmt: skip


def write_config_files(root: Path) -> list[Path]:
    """Writes the three files for the models in `root`; returns those written.

    `stable` stays at the version that an earlier models.config gave it, while that is there; else
    it is the newest. `canary` is the newest where that is another one. Batching and monitoring are
    written once and then left to the user.
    """
    root = Path(root)
    before = _stable_versions(root / MODELS_CONFIG)
    blocks = []
    for home in sorted(root.iterdir()):
        if home.name.startswith(".") or not home.is_dir():
            continue
        numbers = sorted(version_folders(home))
        if numbers:
            stable = before.get(home.name)
            blocks.append(_block(home.name, stable if stable in numbers else numbers[-1], numbers[-1]))
    texts = {MODELS_CONFIG: HEAD + "model_config_list {\n" + "".join(blocks) + "}\n"}
    for name, text in ((BATCHING, BATCHING_TEXT), (MONITORING, MONITORING_TEXT)):
        if not (root / name).exists():
            texts[name] = text
    for name, text in texts.items():
        # A file of this process' own: two runs may be exported at the same moment.
        scratch = root / f".{name}-{os.getpid()}.partial"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(root / name)
    return [root / name for name in texts]


def _block(model: str, stable: int, newest: int) -> str:
    labels = {STABLE: stable} | ({CANARY: newest} if newest != stable else {})
    versions = " ".join(f"versions: {number}" for number in sorted(set(labels.values())))
    lines = [
        f'name: "{model}"',
        f'base_path: "{MOUNT}/{model}"',
        'model_platform: "tensorflow"',
        f"model_version_policy {{ specific {{ {versions} }} }}",
        *(f'version_labels {{ key: "{key}" value: {value} }}' for key, value in labels.items()),
    ]
    return "  config {\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _stable_versions(path: Path) -> dict[str, int]:
    """Model -> version labelled stable, of a models.config as it is written here."""
    if not path.is_file():
        return {}
    found = {}
    for block in re.split(r"\n\s*config\s*\{", path.read_text(encoding="utf-8"))[1:]:
        name = re.search(r'\bname:\s*"([^"]+)"', block)
        label = re.search(r'version_labels\s*\{\s*key:\s*"stable"[\s,]*value:\s*(\d+)', block)
        if name and label:
            found[name[1]] = int(label[1])
    return found


def read_models_config(path: Path) -> dict[str, ModelRule]:
    """Model -> rule of a models.config; raises ValueError if it cannot be read as one."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ValueError(str(error)) from None
    return rules_of(config)


def rules_of(config) -> dict[str, ModelRule]:
    """Model -> rule of a ModelServerConfig. Its base paths are TF Serving's: they are not read."""
    rules = {}
    for one in config.model_config_list.config:
        policy, latest, specific = one.model_version_policy, 1, ()
        kind = policy.WhichOneof("policy_choice")
        if kind == "all":
            latest = 0
        elif kind == "latest":
            latest = policy.latest.num_versions or 1
        elif kind == "specific":
            specific = tuple(policy.specific.versions)
        rules[one.name] = ModelRule(latest, specific, dict(one.version_labels))
    return rules
