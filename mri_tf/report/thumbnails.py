"""Small images of records in a card, which are there only where somebody asks for them."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mri_tf.audit.finding import FOUND
from mri_tf.figures.overlay import WINDOW
from mri_tf.report.blocks import Picture
from mri_tf.report.material import Material

SIDE = 128  # pixels
# Words in the names of findings of images that show who somebody is.
SHOWS_PEOPLE = re.compile(r"\b(faces?|text)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Hidden:
    """Records whose images are not shown, and why."""

    hidden: frozenset[str]
    why: str = "the audit found a face or text in them"


def may_be_shown(findings: Sequence[dict] | None) -> Hidden:
    """What the audit found of faces and burned-in text."""
    records = {
        record for one in findings or [] if one["status"] == FOUND
        and SHOWS_PEOPLE.search(one["name"]) for record in one.get("records", [])
    }  # fmt: skip
    return Hidden(frozenset(records))


def pictures_of(material: Material, wanted: Sequence[tuple[str, str]]) -> list[Picture]:
    """The middle plane of the first channel of each record, with its caption."""
    found = []
    for record_id, caption in wanted:
        record = material.prepared.record(material.places[record_id])
        image = record.own_slice[..., 0].astype(float)
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
