"""The models of a folder, <model>/<version>/: loads new versions and unloads old ones while it serves.

As in TensorFlow Serving, a new version answers as soon as it is loaded, the old one is unloaded when its
last request is answered, and a version that does not load leaves the old one in place. Without
models.config each model has its newest version; with it, the versions and labels that it names.
"""

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.engines.requests import SAVED_MODEL
from mri_tf.serve.config_files import MODELS_CONFIG, ModelRule, read_models_config
from mri_tf.serve.loaded_version import AVAILABLE, END, Version
from mri_tf.serve.status import ServingError, invalid
from mri_tf.serve.version_folders import version_folders


@dataclass(frozen=True)
class Spec:
    """The model of a request: its newest available version, unless `version` or `label` is given."""

    name: str
    version: int | None = None
    label: str = ""


@dataclass
class _Model:
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    stamps: dict[int, tuple] = field(default_factory=dict)  # of a version's files when it was loaded
    missing: set[int] = field(default_factory=set)  # versions of models.config without a folder


class Models:
    """The versions that are served; `watch` keeps them in step with the folder.

    A name in a request is looked up among the models that a scan of the folder gave, never on disk.
    """

    def __init__(self, root: Path, settings, metrics):
        self.root, self._settings, self._metrics = Path(root), settings, metrics
        self._models: dict[str, _Model] = {}
        self._lock, self._scanning = threading.RLock(), threading.Lock()
        self._rules: dict[str, ModelRule] | None = None
        self._config_stamp, self._stop, self._thread = None, threading.Event(), None

    @property
    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._models)

    def watch(self) -> None:
        """Loads the models, then looks for changes every `poll_s` seconds until `close`."""
        self.scan()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching and unloads each version when its last request is answered."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            versions = [v for model in self._models.values() for v in model.versions.values()]
        for version in versions:
            version.unload(self._settings.timeout_s)

    def scan(self) -> None:
        """Loads and unloads versions until they are those of the folder."""
        with self._scanning:
            self._read_config()
            folders = self._version_folders()
            with self._lock:
                for name in folders:
                    self._models.setdefault(name, _Model())
                models = dict(self._models)
            for name, model in models.items():
                self._update(name, model, folders.get(name, {}))
            with self._lock:
                for name, model in models.items():
                    if name not in folders and not model.versions:
                        del self._models[name]

    @contextlib.contextmanager
    def use(self, spec: Spec):
        """A context with the version that answers a request, kept loaded; raises ServingError."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        version = self._find(spec)
        try:
            yield version
        finally:
            version.release()

    def _find(self, spec: Spec) -> Version:
        """The version for a request, with its `use` called."""
        with self._lock:
            model = self._models.get(spec.name, _Model())
            number = self._number(spec, model)
            for candidate in sorted(model.versions, reverse=True) if number is None else [number]:
                version = model.versions.get(candidate)
                if version is not None and version.use():
                    return version
        which = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
        raise ServingError("NOT_FOUND", f"Servable not found for request: {which}")

    def _number(self, spec: Spec, model: _Model) -> int | None:
        """The version that a request names by number or label; None for the newest."""
        if not spec.label:
            return spec.version
        if spec.label not in model.labels:
            raise invalid(f"Unrecognized servable version label: {spec.label}")
        return model.labels[spec.label]

    def states(self, spec: Spec) -> list[Version]:
        """The versions of a model, newest first, or the one that is named; raises ServingError."""
        with self._lock:
            model = self._models.get(spec.name, _Model())
            number = self._number(spec, model)
            if number is None:
                if not model.versions:
                    raise ServingError("NOT_FOUND", f"Could not find any versions of model {spec.name}")
                return [model.versions[key] for key in sorted(model.versions, reverse=True)]
            if number not in model.versions:
                raise ServingError("NOT_FOUND", f"Could not find version {number} of model {spec.name}")
            return [model.versions[number]]

    def reload(self, rules: dict[str, ModelRule]) -> None:
        """Sets versions and labels as models.config would.

        Raises ServingError, and changes nothing, for a model that is not in the folder and for a label
        of a version that is not available.
        """
        with self._scanning, self._lock:
            for name, rule in rules.items():
                model = self._models.get(name)
                if model is None:
                    raise invalid(f"The served folder has no model {name}")
                for number in rule.labels.values():
                    version = model.versions.get(number)
                    if version is None or version.state != AVAILABLE:
                        raise ServingError(
                            "FAILED_PRECONDITION", f"Request to assign label to version {number} of "
                            f"model {name}, which is not currently available for inference",
                        )  # fmt: skip
            self._rules = {**rules}
        self.scan()

    def _watch(self) -> None:
        last_line = ""
        while not self._stop.wait(self._settings.poll_s):
            try:
                self.scan()
                last_line = ""
            except Exception as error:  # a folder that cannot be read may be readable later
                line = f"cannot read the folder of models: {type(error).__name__}: {error}"
                if line != last_line:
                    _log(line)
                last_line = line

    def _read_config(self) -> None:
        path = self.root / MODELS_CONFIG
        stamp = _stamp(path)
        if stamp == self._config_stamp:
            return
        self._config_stamp = stamp
        try:
            self._rules = read_models_config(path) if stamp else None
        except ValueError as error:
            _log(f"cannot read {MODELS_CONFIG}, its last valid content is used: {error}")

    def _version_folders(self) -> dict[str, dict[int, Path]]:
        """Model name -> version -> folder, of the models to serve."""
        folders = {}
        for home in sorted(self.root.iterdir()):
            if home.name.startswith(".") or not home.is_dir():
                continue
            if self._rules is not None and home.name not in self._rules:
                continue
            versions = version_folders(home).items()
            versions = {number: path for number, path in versions if (path / SAVED_MODEL).is_file()}
            if versions:
                folders[home.name] = versions
        return folders

    def _update(self, name: str, model: _Model, folders: dict[int, Path]) -> None:
        """Loads the versions of a model that should be served and unloads the others."""
        rule = (self._rules or {}).get(name) or ModelRule()
        chosen = rule.choose(sorted(folders))
        missing = set(rule.specific) - set(folders)
        if missing and missing != model.missing:
            listed = ", ".join(map(str, sorted(missing)))
            _log(f"{MODELS_CONFIG} names versions of {name} that do not exist: {listed}")
        model.missing = missing
        for number in chosen:
            before = model.versions.get(number)
            if before is not None and before.state != END:
                continue
            stamp = _stamps(folders[number])
            # A version that failed is tried again when its files have changed.
            if before is None or model.stamps.get(number) != stamp:
                version = Version(name, number, folders[number])
                with self._lock:
                    model.versions[number], model.stamps[number] = version, stamp
                version.load(self._settings, self._metrics)
                result = "serving" if version.error is None else f"cannot load ({version.error})"
                _log(f"{result} {name} version {number}")
        with self._lock:
            available = {n for n, version in model.versions.items() if version.state == AVAILABLE}
            kept = set(chosen)
            if chosen and not available & kept:
                kept |= available  # no chosen version loads: the old ones stay
            removed = [version for number, version in model.versions.items() if number not in kept]
            model.labels = {label: n for label, n in rule.labels.items() if n in available}
        for version in removed:
            version.unload(self._settings.timeout_s)
            _log(f"unloaded {name} version {version.number}")
        with self._lock:
            for version in removed:
                del model.versions[version.number]


def _stamp(path: Path) -> tuple | None:
    """A file's time of change and size; None where it does not exist."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:  # it exists and cannot be read, such as a loop of links
        return error.errno, -1
    return state.st_mtime_ns, state.st_size


def _stamps(folder: Path) -> tuple:
    return tuple(sorted((str(path), _stamp(path)) for path in folder.rglob("*") if path.is_file()))


def _log(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)
