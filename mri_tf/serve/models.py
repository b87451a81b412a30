"""The models of a folder: `<model>/<version>/`, watched; new versions loaded, old ones drained.

As TF Serving: a new version takes over when it is loaded, the old one goes when its last request
is answered, and a version that does not load leaves the old one in place. Without models.config
each model has its newest version; with it, the versions and labels that it names.
"""

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from mri_tf.serve.config_files import MODELS_CONFIG, ModelRule, read_models_config
from mri_tf.serve.loaded_version import AVAILABLE, END, Version
from mri_tf.serve.status import ServingError, invalid
from mri_tf.serve.version_folders import version_folders

SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Spec:
    """Which model is meant: the newest available version unless `version` or `label` is given."""

    name: str
    version: int | None = None
    label: str = ""


@dataclass
class _Model:
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    seen: dict[int, tuple] = field(default_factory=dict)  # what lay on disk when it was loaded
    lacking: set[int] = field(default_factory=set)  # versions of models.config that are not there


class Models:
    """Holds the versions that are served; `watch` keeps them in step with the folder.

    Names of requests are looked up in what was found, never on disk.
    """

    def __init__(self, root: Path, settings, metrics):
        self.root, self._settings, self._metrics = Path(root), settings, metrics
        self._models: dict[str, _Model] = {}
        self._lock, self._scanning = threading.RLock(), threading.Lock()
        self._rules: dict[str, ModelRule] | None = None
        self._config_seen, self._stop, self._thread = None, threading.Event(), None

    @property
    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._models)

    def watch(self) -> None:
        """Loads what there is and then looks for changes until `close`."""
        self.scan()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching and unloads everything, each when its last request is answered."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            versions = [one for model in self._models.values() for one in model.versions.values()]
        for version in versions:
            version.unload(self._settings.timeout_s)

    def scan(self) -> None:
        """Brings what is served in step with the folder; returns when that is done."""
        with self._scanning:
            self._read_config()
            found = self._on_disk()
            with self._lock:
                for name in found:
                    self._models.setdefault(name, _Model())
                models = dict(self._models)
            for name, model in models.items():
                self._update(name, model, found.get(name, {}))
            with self._lock:
                for name, model in models.items():
                    if name not in found and not model.versions:
                        del self._models[name]

    @contextlib.contextmanager
    def use(self, spec: Spec):
        """The version that answers a request, kept loaded meanwhile; raises ServingError."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        version = self._find(spec)
        try:
            yield version
        finally:
            version.release()

    def _find(self, spec: Spec) -> Version:
        wanted = spec.version
        with self._lock:
            model = self._models.get(spec.name, _Model())
            if spec.label:
                wanted = self._labelled(spec, model)
            numbers = sorted(model.versions, reverse=True) if wanted is None else [wanted]
            for number in numbers:
                version = model.versions.get(number)
                if version is not None and version.use():
                    return version
        which = f"Latest({spec.name})" if wanted is None else f"Specific({spec.name}, {wanted})"
        raise ServingError("NOT_FOUND", f"Servable not found for request: {which}")

    def _labelled(self, spec: Spec, model: _Model) -> int:
        if spec.label not in model.labels:
            raise invalid(f"Unrecognized servable version label: {spec.label}")
        return model.labels[spec.label]

    def states(self, spec: Spec) -> list[Version]:
        """The versions of a model, newest first, or the one asked for; raises ServingError."""
        with self._lock:
            model = self._models.get(spec.name, _Model())
            wanted = self._labelled(spec, model) if spec.label else spec.version
            if wanted is None:
                if not model.versions:
                    raise ServingError("NOT_FOUND", f"Could not find any versions of model {spec.name}")
                return [model.versions[number] for number in sorted(model.versions, reverse=True)]
            if wanted not in model.versions:
                raise ServingError("NOT_FOUND", f"Could not find version {wanted} of model {spec.name}")
            return [model.versions[wanted]]

    def reload(self, rules: dict[str, ModelRule]) -> None:
        """Takes versions and labels as models.config would give them; raises ServingError.

        A label is given to a version that is served, so it is the same request that was served
        before and after; a model that is not in the folder is refused.
        """
        with self._scanning, self._lock:
            for name, rule in rules.items():
                model = self._models.get(name)
                if model is None:
                    raise invalid(f"No model {name} in the folder that is served")
                for number in rule.labels.values():
                    version = model.versions.get(number)
                    if version is None or version.state != AVAILABLE:
                        raise ServingError(
                            "FAILED_PRECONDITION",
                            f"Request to assign label to version {number} of model {name}, "
                            "which is not currently available for inference",
                        )
            self._rules = {**rules}
        self.scan()

    def _watch(self) -> None:
        said = ""
        while not self._stop.wait(self._settings.poll_s):
            try:
                self.scan()
                said = ""
            except Exception as error:  # a folder that cannot be read now may be read later
                line = f"cannot look for models: {type(error).__name__}: {error}"
                if line != said:
                    _say(line)
                said = line

    def _read_config(self) -> None:
        path = self.root / MODELS_CONFIG
        seen = _stamp(path)
        if seen == self._config_seen:
            return
        self._config_seen = seen
        try:
            self._rules = read_models_config(path) if seen else None
        except ValueError as error:
            _say(f"{MODELS_CONFIG} is kept as it was: {error}")

    def _on_disk(self) -> dict[str, dict[int, Path]]:
        """Model name -> version -> folder, of the models that are to be served."""
        found = {}
        for home in sorted(self.root.iterdir()):
            if home.name.startswith(".") or not home.is_dir():
                continue
            if self._rules is not None and home.name not in self._rules:
                continue
            versions = {
                number: folder
                for number, folder in version_folders(home).items()
                if (folder / SAVED_MODEL).is_file()
            }
            if versions:
                found[home.name] = versions
        return found

    def _update(self, name: str, model: _Model, on_disk: dict[int, Path]) -> None:
        rule = (self._rules or {}).get(name) or ModelRule()
        wanted = rule.choose(sorted(on_disk))
        lacking = set(rule.specific) - set(on_disk)
        if lacking and lacking != model.lacking:
            listed = ", ".join(map(str, sorted(lacking)))
            _say(f"{MODELS_CONFIG} names versions of {name} that are not there: {listed}")
        model.lacking = lacking
        for number in wanted:
            before = model.versions.get(number)
            if before is not None and before.state != END:
                continue
            stamp = _stamps(on_disk[number])
            # A version that failed is tried again when its files have changed.
            if before is None or model.seen.get(number) != stamp:
                version = Version(name, number, on_disk[number])
                with self._lock:
                    model.versions[number], model.seen[number] = version, stamp
                version.load(self._settings, self._metrics)
                what = "serving" if version.error is None else f"cannot load ({version.error})"
                _say(f"{what} {name} version {number}")
        with self._lock:
            served = [number for number, one in model.versions.items() if one.state == AVAILABLE]
            stays = set(wanted)
            if wanted and not set(served) & stays:
                stays |= set(served)  # nothing new that works: the old one stays
            gone = [model.versions[number] for number in list(model.versions) if number not in stays]
            model.labels = {
                label: number
                for label, number in rule.labels.items()
                if number in model.versions and model.versions[number].state == AVAILABLE
            }
        for version in gone:
            version.unload(self._settings.timeout_s)
            _say(f"unloaded {name} version {version.number}")
        with self._lock:
            for version in gone:
                del model.versions[version.number]


def _stamp(path: Path) -> tuple | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:  # a loop of links: there, and not to be read
        return error.errno, -1
    return state.st_mtime_ns, state.st_size


def _stamps(folder: Path) -> tuple:
    return tuple(sorted((str(path), _stamp(path)) for path in folder.rglob("*") if path.is_file()))


def _say(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)
