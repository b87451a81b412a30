"""The card: one page on a run or a study that a reviewer can read."""
