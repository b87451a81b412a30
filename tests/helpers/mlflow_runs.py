"""What an MLflow store of files holds, for tests."""

import importlib.util
import os
from pathlib import Path

import pytest

needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None,
    reason="the package mlflow-skinny is not installed (extra track)",
)


def client_of(store: Path):
    """A client of the store."""
    from mri_tf.track.mlflow_store import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # before MLflow is imported
    from mlflow import MlflowClient

    return MlflowClient(store.absolute().as_uri())


def runs_in(store: Path, experiment: str) -> list:
    """The runs of an experiment; none where there is no such experiment."""
    client = client_of(store)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else client.search_runs([found.experiment_id])


def files_below(client, identity: str, folder: str = "") -> set[str]:
    """The files of a run."""
    found = set()
    for one in client.list_artifacts(identity, folder or None):
        found |= files_below(client, identity, one.path) if one.is_dir else {one.path}
    return found
