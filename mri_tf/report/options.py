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
        small = [self.is_small(count) for count in counts]
        others = [place for place, count in enumerate(counts) if count and not small[place]]
        if sum(small) == 1 and others:
            shown[min(others, key=lambda place: counts[place])] = "hidden"
        return shown
