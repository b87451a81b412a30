"""Pictures of where a model looked for its decision: of a record, and of the slices of a case."""

from collections.abc import Sequence

from mri_tf.core.words import printed_name
from mri_tf.explain.maps import Explained
from mri_tf.explain.pictures import MOST_TILES, OWN_MAXIMUM, evenly, overlay_of
from mri_tf.figures import MapTile, draw_map, draw_map_sheet

WHAT = "Grad-CAM of the decision."


def draw_decision(explained: Explained, name: str, row: dict):
    """A figure of one record: image beside the image with its map.

    Args:
        explained: the map of the decision.
        name: of the input.
        row: of the answer, with `decision` and `probabilities` by class.
    """
    return draw_map(overlay_of(explained), f"{name}: {_answer(row)}", WHAT)


def draw_decisions(maps: Sequence[Explained], name: str, rows: Sequence[dict]):
    """A figure of all records of a case; of many slices some, evenly chosen from head to foot.

    Args:
        maps: of the decisions, head to foot.
        name: of the input.
        rows: of the answers: of each record, or several times the one of the patient.
    """
    if len(maps) == 1:
        return draw_decision(maps[0], name, rows[0])
    together = rows[0] is rows[-1]  # one answer for all records
    planes, what = (1, "slice") if maps[0].cam.ndim == 2 else (3, "volume")
    shown, tiles = evenly(range(len(maps)), MOST_TILES[planes]), []
    for place in shown:
        overlay = overlay_of(maps[place])
        caption = f"{what} {place + 1}" + ("" if together else f": {_answer(rows[place])}")
        tiles.append(MapTile(overlay.planes(), overlay.top, caption))
    counted = f"{len(shown)} of {len(maps)}" if len(shown) < len(maps) else f"{len(maps)}"
    answer = f": {_answer(rows[0])}" if together else ""
    return draw_map_sheet(tiles, f"{name}{answer}, {counted} {what}s", f"{WHAT} {OWN_MAXIMUM}")


def _answer(row: dict) -> str:
    return f"{printed_name(row['decision'])} {row['probabilities'][row['decision']]:.2f}"
