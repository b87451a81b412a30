"""Writes the maps of answers as files: labels of segmentations, Grad-CAM of classifiers' decisions."""

from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.volume import Volume
from mri_tf.core.words import plural
from mri_tf.explain.maps import Explained
from mri_tf.predict.files import safe_name, write_label_image
from mri_tf.predict.outputs import Answered
from mri_tf.predict.pictures import draw_decision, draw_decisions


class MapFiles:
    """Writes the maps of each answer into a folder, and their names into its rows."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._file_names: set[str] = set()  # of the maps
        self._written = 0

    def __call__(self, answered: Answered) -> None:
        """Writes the maps of one answer."""
        if answered.source_labels is not None:
            self._write_labels(answered)
        for maps, placed in zip(answered.maps, answered.source_maps, strict=True):
            rows = answered.rows if len(answered.rows) == len(maps) else answered.rows * len(maps)
            if placed is None:
                self._write_pictures(answered.name, maps, rows)
            else:
                self._write_volume(answered.name, maps, rows, placed)

    def what_is_left(self) -> str:
        """A sentence on the maps that are there where the command ends early; "" without any."""
        if not self._written:
            return ""
        count = plural(self._written, "map")
        return f"{count} written into {self._folder}; the same command replaces them."

    def _write_labels(self, answered: Answered) -> None:
        found = answered.source_labels
        if isinstance(found, np.ndarray):
            path = self._new_file(answered.name, "labels.png")
            write_label_image(found, path)
        else:
            path = self._new_file(answered.name, "labels.nii.gz")
            write_nifti(path, *found)
        self._written += 1
        answered.rows[0]["label_map"] = path.name

    def _write_pictures(self, name: str, maps: list[Explained], rows: list[dict]) -> None:
        """A picture of each record."""
        from mri_tf.figures import save

        for explained, row in zip(maps, rows, strict=True):
            picture = draw_decision(explained, name, row)
            _add_map(row, save(picture, self._new_file(name, "gradcam"))[0].name)
            self._written += 1

    def _write_volume(
        self, name: str, maps: list[Explained], rows: list[dict], placed: tuple[Volume, str]
    ) -> None:
        """One NIfTI file of a case, and a picture of the same name."""
        from mri_tf.figures import save

        path = self._new_file(name, "gradcam.nii.gz")
        save(draw_decisions(maps, name, rows), path.with_name(path.name.removesuffix(".nii.gz")))
        write_nifti(path, *placed)
        self._written += 1
        for row in rows:
            _add_map(row, path.name)

    def _new_file(self, name: str, ending: str) -> Path:
        """A path for a map of an input; with a number where an earlier input has the same file name."""
        stem, number = safe_name(name), 1
        while (file := f"{stem}_{ending}") in self._file_names:
            number += 1
            stem = f"{safe_name(name)}-{number}"
        self._file_names.add(file)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / file


def _add_map(row: dict, name: str) -> None:
    """Notes the file name of a map in a row; a list where there are several."""
    before = row.get("map", [])
    names = list(dict.fromkeys([*([before] if isinstance(before, str) else before), name]))
    row["map"] = names[0] if len(names) == 1 else names
