"""The card at the end of a training or a study, which must never cost the training."""

import sys
from collections.abc import Callable
from pathlib import Path


def write_card(make: Callable[[Path], Path], folder: Path, command: str) -> None:
    """Writes the card and says where it is; where it cannot be drawn, says so and how to try again.

    Args:
        make: `card_of_run` or `card_of_study` of mri_tf.report.card.
        folder: of the run or study.
        command: that writes the card again.
    """
    try:
        card = make(folder)
    except Exception as error:  # whatever it is: the training is done, and its numbers are written
        print(f"the card was not written ({type(error).__name__}); try {command}", flush=True)
        print(f"card: {error}", file=sys.stderr)  # it may name files, which logs must not
    else:
        print(f"wrote {card}", flush=True)
