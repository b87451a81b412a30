"""Small images of records in a card, which are there only where somebody asks for them."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mri_tf.audit.finding import FOUND
from mri_tf.audit.identity import BURNED_IN, FACES, shows_identity
from mri_tf.figures.overlay import WINDOW
from mri_tf.figures.sheets import grey_values
from mri_tf.report.blocks import Picture
from mri_tf.report.material import Material

SIDE = 128  # pixels


def hidden_records(findings: Sequence[dict] | None) -> set[str]:
    """The records in which an audit found a face or burned-in text, also a sign that all have in
    common, which a single record does not tell."""
    return {
        record for one in findings or [] if one["status"] == FOUND
        and one["name"] in (FACES, BURNED_IN) for record in one.get("records", [])
    }  # fmt: skip


def pictures_of(material: Material, wanted: Sequence[tuple[str, str]]) -> list[Picture]:
    """The middle plane of each record, as contact sheets show it, with its caption, without records that
    show a face or text, whether or not somebody has audited them."""
    found, hidden = [], hidden_records(material.findings)
    for record_id, caption in wanted:
        if record_id in hidden:
            continue
        record = material.prepared.record(material.places[record_id])
        if shows_identity(record, material.task.modality):
            continue
        image = grey_values(record.own_slice)
        plane = image[image.shape[0] // 2] if image.ndim == 3 else image
        found.append(Picture(as_data(plane), f"Image of {caption}.", caption))
    return found


def as_data(plane: np.ndarray) -> str:
    """A plane (rows, columns) as a grey PNG in a data URI, which does not say where it is from."""
    low, high = np.percentile(plane, WINDOW)
    grey = np.clip((plane - low) / max(high - low, 1e-9), 0, 1)
    image = Image.fromarray((grey * 255).round().astype(np.uint8))
    scale = SIDE / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size])
    file = io.BytesIO()
    image.save(file, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
