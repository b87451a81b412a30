"""Whether paired differences have a mean above 0: their signs are flipped (Fisher 1935)."""

import numpy as np

DRAWS = 1999
MOST_EXACT = 12  # differences, of which every flip is counted


def sign_flip_p(differences: np.ndarray, seed: int = 0) -> float:
    """One-sided p-value: the share of flips of the signs with at least this mean.

    Of at most 12 differences every flip is counted, else 1,999 are drawn and the signs as seen are one
    more.

    Args:
        differences: (n,) finite; were there no difference, each would be as likely with the other sign.
        seed: of the drawn flips.

    >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
    0.125
    """
    n = len(differences)
    if n <= MOST_EXACT:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (DRAWS, n))
        signs = np.concatenate([np.ones((1, n), int), 2 * drawn - 1])
    sums = signs @ differences
    return float((sums >= differences.sum() - 1e-9 * np.abs(differences).sum()).mean())
