"""Whether the maps of a network explain it: a verdict for each method, from the numbers of its checks.

A method fails where its map is hardly another when the last half of the network is random: the
map then shows the image, and not what the network learned (Adebayo et al. 2018).
"""

from dataclasses import dataclass

import numpy as np

from mri_tf.audit.finding import CANNOT_TELL, FOUND, NOT_FOUND, Finding
from mri_tf.audit.judged import FEWEST_PATIENTS
from mri_tf.audit.map_checks import MethodChecks
from mri_tf.explain.methods import METHODS
from mri_tf.metrics.map_similarity import mean_of_known
from mri_tf.metrics.sign_flip import sign_flip_p

NAME = "explanation: {}"
STATUS = {FOUND: "fails", NOT_FOUND: "passes", CANNOT_TELL: "cannot tell"}
ALIKE = 0.5  # rank correlation, from which on two maps are hardly different
LEVEL = 0.05
NO_EXCHANGED = "not applicable: no network on exchanged labels (audit --deep trains them)"
MEANING = (
    "Maps of this method look alike whether or not the network has learned anything: they show edges "
    "and contrast of the image, and are no evidence of what the network looks at."
)
WHAT_TO_DO = "Do not show this method as an explanation; show one that passes."


@dataclass(frozen=True)
class Verdict:
    """What is said of one method.

    Attributes:
        status: FOUND (it fails), NOT_FOUND (it passes) or CANNOT_TELL.
        reasons: why, in words, one a check.
        n: records whose maps could be compared.
    """

    status: str
    reasons: tuple[str, ...]
    n: int


def explanation_findings(checks: dict[str, MethodChecks], flip: tuple[str, bool]) -> list[Finding]:
    """A finding for each method.

    Args:
        checks: of `check_maps`.
        flip: of `flip_axis`.
    """
    return [_finding(name, of_method, flip) for name, of_method in checks.items()]


def without_maps(status: str, why: str, n: int | None = None) -> list[Finding]:
    """The same where no map can be checked, and why."""
    return [Finding(NAME.format(name), status, why, n=n) for name in METHODS]


def _finding(name: str, checks: MethodChecks, flip: tuple[str, bool]) -> Finding:
    records = len(checks.random)
    verdict = verdict_of(checks, trained_with_flips=flip[1])
    evidence = [f"{STATUS[verdict.status]}: {verdict.reasons[0]}", *verdict.reasons[1:]]
    if verdict.n < records:
        evidence.append(f"{records - verdict.n} of {records} maps are the same everywhere")
    evidence += [_mirror_in_words(checks, flip), _enrichment_in_words(checks)]
    fails = verdict.status == FOUND
    return Finding(
        NAME.format(name), verdict.status, "; ".join(part for part in evidence if part),
        statistic=mean_of_known(checks.random) if verdict.n else None, n=verdict.n,
        meaning=MEANING if fails else "", what_to_do=WHAT_TO_DO if fails else "",
    )  # fmt: skip


def verdict_of(checks: MethodChecks, trained_with_flips: bool) -> Verdict:
    """Whether a method passes.

    It fails where the map of the randomised network, or of one that was trained on exchanged labels, is
    `hardly_another`; and, of a network trained with mirrored images, where the map of the mirrored image
    is more like the unchanged map as it is than mirrored back.
    """
    known = np.isfinite(checks.random)
    n = int(known.sum())
    if n < FEWEST_PATIENTS:
        return Verdict(CANNOT_TELL, (f"n = {n}, fewer than {FEWEST_PATIENTS}",), n)
    of_seeds = None if checks.seeds is None else checks.seeds[known]
    reasons, fails = [], []
    compared = (("with half of the network random", checks.random),
                ("on exchanged labels", checks.exchanged))  # fmt: skip
    for what, values in compared:
        if values is None:
            reasons.append(NO_EXCHANGED)
            continue
        failed, words = hardly_another(values[known], of_seeds)
        fails.append(failed)
        reasons.append(f"{what}, the map correlates {words}")
    if checks.cascade:
        steps = ", ".join(f"{share:.0%} {value:.2f}" for share, value in checks.cascade.items())
        ssim = mean_of_known(checks.structure)
        reasons[0] += f" (by share of random layers: {steps}; SSIM {ssim:.2f})"
    if trained_with_flips:
        fails.append(mean_of_known(checks.mirrored) < mean_of_known(checks.not_mirrored))
    return Verdict(FOUND if any(fails) else NOT_FOUND, tuple(reasons), n)


def hardly_another(changed: np.ndarray, seeds: np.ndarray | None) -> tuple[bool, str]:
    """Whether maps of a changed network are still those of the trained one, and the numbers in words.

    So it is where their rank correlation is 0.5 or more, unless it is clearly below that of another
    training of the same task (sign flip, p up to 0.05), where there is one.

    Args:
        changed: (records,) rank correlations.
        seeds: (records,) of the other training; None where there is none.
    """
    alike = bool(changed.mean() >= ALIKE)
    if seeds is None:
        return alike, f"{changed.mean():.2f} with that of the trained one (fails from {ALIKE:g} on)"
    below = sign_flip_p(seeds - changed) <= LEVEL
    words = f"{changed.mean():.2f} with that of the trained one, another training's {seeds.mean():.2f}"
    if not below:
        words += ", which is no more: two trainings do not give one map"
    return alike and not below, words


def _mirror_in_words(checks: MethodChecks, flip: tuple[str, bool]) -> str:
    axis, trained = flip
    how = "as in training" if trained else "which the training did not do: not judged"
    mirrored, as_it_is = mean_of_known(checks.mirrored), mean_of_known(checks.not_mirrored)
    return (
        f"mirrored along {axis} ({how}), the map mirrored back correlates {mirrored:.2f}, as it is "
        f"{as_it_is:.2f}"
    )


def _enrichment_in_words(checks: MethodChecks) -> str:
    if not checks.enrichment:
        return ""
    called = {"tumour": "mask", "brain": "head or body"}
    parts = (f"{called.get(part, part)} {times:.2f}" for part, times in checks.enrichment.items())
    return f"times the uniform share: {', '.join(parts)}"
