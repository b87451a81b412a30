"""The images, maps and labels of a case as NIfTI on one grid, for a viewer to lay on each other."""

from pathlib import Path

import numpy as np

from data_prep.io.nifti import write_nifti
from data_prep.ops.resample import volume_of_grid
from mri_tf.explain.maps import Explained
from mri_tf.store.record import Record

# Of pictures without a place, (column, row, depth) -> RAS mm: the first row at the front, the first
# column on the patient's right, which radiologists draw on the left; pixels of 1 mm.
OF_PICTURES = np.diag([-1.0, -1.0, -1.0, 1.0])
KEPT = ("uint8", "int16", "float32")  # dtypes that every viewer reads
NO_STEP = 1e-6  # mm from one slice to the next; with less, their places do not differ


class CaseGrid:
    """The grid of a case: that of its volume, or of its slices on each other, evenly spaced.

    Args:
        records: of the case, the head first.
    """

    def __init__(self, records: list[Record]):
        self._records = records
        self.is_volume = records[0].image.ndim == 4
        self.affine = self._affine()  # (column, row, depth) -> RAS mm

    def write_channels(self, folder: Path, case_id: str) -> None:
        """Writes `CASE_image_K.nii.gz` of each channel."""
        images = [record.own_slice for record in self._records]
        for channel in range(images[0].shape[-1]):
            name = f"{case_id}_image_{channel}.nii.gz"
            self._write([image[..., channel] for image in images], folder / name)

    def write_map(self, maps: list[Explained], folder: Path, case_id: str) -> None:
        """Writes `CASE_map.nii.gz`, where the network looked, of each record."""
        values = [one.on_prepared_grid(one.cam).astype(np.float32) for one in maps]
        self._write(values, folder / f"{case_id}_map.nii.gz")

    def write_labels(self, labels: list[np.ndarray], folder: Path, case_id: str) -> None:
        """Writes `CASE_labels.nii.gz`, each voxel's most probable label, of each record."""
        self._write(labels, folder / f"{case_id}_labels.nii.gz")

    def _write(self, parts: list[np.ndarray], path: Path) -> None:
        array = parts[0] if self.is_volume else np.stack(parts)  # (depth, rows, columns)
        array = array if array.dtype.name in KEPT else array.astype(np.float32)
        write_nifti(path, volume_of_grid(array, self.affine), "RAS")

    def _affine(self) -> np.ndarray:
        first, last = self._records[0].affine, self._records[-1].affine
        if first is None or last is None or np.array_equal(first, np.eye(4)):
            return OF_PICTURES
        affine = np.array(first, float)
        if self.is_volume:
            return affine
        step = affine[:3, 2].copy()
        if len(self._records) > 1:
            step = (np.asarray(last, float)[:3, 3] - affine[:3, 3]) / (len(self._records) - 1)
        across = np.cross(affine[:3, 1], affine[:3, 0])  # to the feet: rows go back, columns left
        if abs(step @ across) < NO_STEP:
            step = across / max(np.sqrt(np.linalg.norm(across)), NO_STEP)  # as thick as a pixel is wide
        affine[:3, 2] = step
        return affine
