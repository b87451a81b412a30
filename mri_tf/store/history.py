"""What the rows of a training's history.csv say, one an epoch."""

import math
from collections.abc import Iterable

NOT_VALIDATED = ""  # in the place of a validation loss


def lowest_validation_loss(rows: Iterable[dict]) -> float:
    """Of the rows of a history; infinite where no epoch has a finite one.

    >>> lowest_validation_loss([{"val_loss": ""}, {"val_loss": "nan"}, {"val_loss": 0.5}])
    0.5
    """
    losses = (float(row["val_loss"]) for row in rows if row["val_loss"] != NOT_VALIDATED)
    return min(filter(math.isfinite, losses), default=math.inf)
