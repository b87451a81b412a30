"""TensorFlow Serving's configuration files for a folder of exported models.

models.config      which versions are loaded, and the labels `stable` and `canary`
batching.config    how requests are batched
monitoring.config  Prometheus metrics

They are written as text, so that export needs no protocol buffers. mri_tf.serve reads models.config.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.core.errors import InputError
from mri_tf.serve.version_folders import version_folders

MODELS_CONFIG, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"
MOUNT = "/models"  # the folder of models in the container of compose.yaml
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
    """Which versions of a model are served: the specific ones, or else the latest."""

    latest: int = 1  # how many; 0: all
    specific: tuple[int, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)

    def choose(self, versions: list[int]) -> list[int]:
        """The versions to serve, newest first, of those on disk (ascending).

        >>> ModelRule(latest=2).choose([1, 2, 3])
        [3, 2]
        """
        if self.specific:
            return [number for number in reversed(versions) if number in self.specific]
        return versions[::-1][: self.latest or None]


def check_config_files(root: Path) -> None:
    """Raises InputError where `write_config_files` could not keep the labels of a models.config."""
    path = Path(root) / MODELS_CONFIG
    if not os.path.lexists(path):
        return
    try:
        if "model_config_list" not in path.read_text(encoding="utf-8"):
            raise InputError(
                f"The folder holds a {MODELS_CONFIG} that is none of TensorFlow Serving.", path,
                "Choose another --out folder, or move it away.",
            )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read {MODELS_CONFIG} as a text file.", f"{path} ({type(error).__name__})",
            "Correct or remove it.",
        ) from None  # fmt: skip


def write_config_files(root: Path) -> list[Path]:
    """Writes the three files for the models in `root`; returns those written.

    The label `stable` stays at its version in an earlier models.config while that exists; else it is the
    newest. `canary` is the newest version where that is another one. Existing files for batching and
    monitoring are kept, because users edit them.
    """
    root = Path(root)
    stable_versions = _stable_versions(root / MODELS_CONFIG)
    blocks = []
    for home in sorted(root.iterdir()):
        if home.name.startswith(".") or not home.is_dir():
            continue
        numbers = sorted(version_folders(home))
        if numbers:
            stable = stable_versions.get(home.name)
            blocks.append(_block(home.name, stable if stable in numbers else numbers[-1], numbers[-1]))
    texts = {MODELS_CONFIG: HEAD + "model_config_list {\n" + "".join(blocks) + "}\n"}
    for name, text in ((BATCHING, BATCHING_TEXT), (MONITORING, MONITORING_TEXT)):
        if not (root / name).exists():
            texts[name] = text
    for name, text in texts.items():
        # The process id is in the name, because two runs may be exported at the same moment.
        scratch = root / f".{name}-{os.getpid()}.partial"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(root / name)
    return [root / name for name in texts]


def _block(model: str, stable: int, newest: int) -> str:
    """The entry of a model in models.config."""
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
    """Model -> version labelled stable, in a models.config that `write_config_files` wrote."""
    if not path.is_file():
        return {}
    versions = {}
    for block in re.split(r"\n\s*config\s*\{", path.read_text(encoding="utf-8"))[1:]:
        name = re.search(r'\bname:\s*"([^"]+)"', block)
        label = re.search(r'version_labels\s*\{\s*key:\s*"stable"[\s,]*value:\s*(\d+)', block)
        if name and label:
            versions[name[1]] = int(label[1])
    return versions


def read_models_config(path: Path) -> dict[str, ModelRule]:
    """Model -> rule of a models.config; raises ValueError where it cannot be parsed."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ValueError(str(error)) from None
    return rules_of(config)


def rules_of(config) -> dict[str, ModelRule]:
    """Model -> rule of a ModelServerConfig; its base paths are TensorFlow Serving's and are not read."""
    rules = {}
    for entry in config.model_config_list.config:
        policy = entry.model_version_policy
        is_all = policy.WhichOneof("policy_choice") == "all"
        latest = 0 if is_all else policy.latest.num_versions or 1  # 0 where it is not set
        specific = tuple(policy.specific.versions)  # empty where it is not set
        rules[entry.name] = ModelRule(latest, specific, dict(entry.version_labels))
    return rules
