"""What a card shows and hides."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The flags of the command.

    Attributes:
        smallest_cell: counts of patients from 1 to below this are not shown; 0 shows all.
        thumbnails: whether images of patients are in the card.
    """

    smallest_cell: int = 0
    thumbnails: bool = False

    def count(self, count: int) -> str:
        """A count of patients, or that it is too small to be shown.

        >>> Options(smallest_cell=5).count(3), Options(smallest_cell=5).count(0), Options().count(3)
        ('< 5', '0', '3')
        """
        return f"< {self.smallest_cell}" if self.is_small(count) else f"{count}"

    def is_small(self, count: int) -> bool:
        """Whether a count is not to be shown."""
        return 0 < count < self.smallest_cell

    def row(self, counts: Sequence[int]) -> list[str]:
        """Counts that add up to a number which is shown elsewhere.

        Where only one is too small, the next smallest is hidden too: it would follow from the sum.

        >>> Options(smallest_cell=5).row([3, 20, 9])
        ['< 5', '20', 'hidden']
        """
        shown = [self.count(count) for count in counts]
        place = hidden_beside_a_small_one(counts, self.smallest_cell)
        if place is not None:
            shown[place] = "hidden"
        return shown


def hidden_beside_a_small_one(counts: Sequence[int], smallest: int) -> int | None:
    """The place of the smallest count from `smallest` on, where one count alone is below; else None.

    >>> hidden_beside_a_small_one([3, 20, 9, 0], 5), hidden_beside_a_small_one([3, 4, 9], 5)
    (2, None)
    """
    others = [place for place, count in enumerate(counts) if count >= max(1, smallest)]
    if sum(0 < count < smallest for count in counts) != 1 or not others:
        return None
    return min(others, key=lambda place: counts[place])
