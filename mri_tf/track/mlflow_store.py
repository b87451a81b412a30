"""Logs to MLflow: a tracking server over HTTP, or a store on disk."""

import os
import time
from pathlib import Path

from mri_tf.core.errors import InputError, RunFailed, install_hint
from mri_tf.track.destination import NEEDS_PACKAGE, shown
from mri_tf.track.tracked import Tracked

# MLflow reports its use to its makers unless told not to, keeps trying for minutes where a server does
# not answer, and asks before it writes a store of files, whose form it no longer changes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "GIT_PYTHON_REFRESH": "quiet",
}  # fmt: skip
AT_ONCE = 100  # parameters or metrics in one request
FINISHED, FAILED = "FINISHED", "FAILED"
PARENT = "mlflow.parentRunId"  # the tag by which MLflow shows runs inside others


def log_to_mlflow(tracked: Tracked, uri: str) -> str:
    """Logs a run with those inside it; returns its id there.

    Raises:
        InputError: MLflow is not installed, or refuses the address.
        RunFailed: it fails; what was logged until then is marked as failed there.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise InputError(
            NEEDS_PACKAGE, "no such package", install_hint("track")
        ) from None
    try:
        client = MlflowClient(_absolute(uri))
        found = client.get_experiment_by_name(tracked.experiment)
        experiment = found.experiment_id if found else client.create_experiment(tracked.experiment)
        return _log(client, experiment, tracked, None)
    except Exception as error:  # of its own kinds, of requests and of the file system
        text = " ".join(str(error).replace(uri, shown(uri)).split())[:200]
        raise RunFailed(
            f"{shown(uri)} failed ({type(error).__name__}: {text}).", "The run on disk is whole."
        ) from None


def _absolute(uri: str) -> str:
    """The URI; of a store on disk, which may be a relative path, with its whole path."""
    path = uri.removeprefix("file:")
    if "://" in uri or (uri == path and ":" in uri):
        return uri
    return Path(path).absolute().as_uri()


def _log(client, experiment: str, tracked: Tracked, parent: str | None) -> str:
    tags = {PARENT: parent} if parent else {}
    run = client.create_run(experiment, tags=tags, run_name=tracked.name).info.run_id
    try:
        _log_values(client, run, tracked)
        for path, folder in tracked.files.items():
            if path.is_dir():
                client.log_artifacts(run, str(path), folder or None)
            else:
                client.log_artifact(run, str(path), folder or None)
        for one in tracked.inside:
            _log(client, experiment, one, run)
    except BaseException:
        client.set_terminated(run, FAILED)
        raise
    client.set_terminated(run, FAILED if tracked.failed else FINISHED)
    return run


def _log_values(client, run: str, tracked: Tracked) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    parameters = [Param(_key(name), value) for name, value in tracked.parameters.items()]
    metrics = [Metric(_key(name), value, now, 0) for name, value in tracked.metrics.items()]
    metrics += [
        Metric(f"epoch.{_key(name)}", value, now, epoch)
        for epoch, values in tracked.history for name, value in values.items()
    ]
    for start in range(0, len(parameters), AT_ONCE):
        client.log_batch(run, params=parameters[start : start + AT_ONCE])
    for start in range(0, len(metrics), AT_ONCE):
        client.log_batch(run, metrics=metrics[start : start + AT_ONCE])


def _key(name: str) -> str:
    """A name in the characters that MLflow takes: letters, digits, and "_-. /"."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)
