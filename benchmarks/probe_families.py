"""How often the audit's test of probes is wrong, and what it finds: tables of random features.

    python benchmarks/probe_families.py [--sets 200] [--seed 0] [--planted [--families 2]]

Each set is a family of nine probes: of 1 to 48 features, numbers and yes/no, one of 200 features, and
sites. Without --planted no feature has to do with the labels: how often does any probe have p at or
below 0.05? Beside it the same test where every record counts as a patient of its own. With --planted a
mark agrees with the label in a share of the patients (the dose), alone in its probe or as one of 48
features; with --families 2 as in the audit of a run, where regions that networks look at share the 5 %.
"""

import argparse
import time

import numpy as np

from mri_tf.metrics.label_association import Exchanges
from mri_tf.metrics.label_exchanges import exchange_units
from mri_tf.metrics.probe_test import FAMILY_WISE, Family, Probe

FEATURES = (1, 1, 1, 3, 6, 12, 48, 200)
WITHIN = 0.3  # SD within a patient, of 1 between patients
# name -> patients, records of each, shares of the classes; "labels within" is drawn for each record.
SHAPES = {
    "12 patients, 1 record": (12, 1, (0.5, 0.5)),
    "30 patients, 1 record": (30, 1, (0.5, 0.5)),
    "30 patients, 10 records": (30, 10, (0.5, 0.5)),
    "40 patients, 10 records, 75/25": (40, 10, (0.75, 0.25)),
    "45 patients, 4 records, three classes": (45, 4, (0.5, 0.3, 0.2)),
    "15 patients, 12 records, labels within": (15, 12, None),
}


def drawn_probes(patients: int, records: int, rng: np.random.Generator) -> dict[str, Probe]:
    """Probes of records that know nothing of labels; a patient's records are alike."""
    probes = {}
    for number, count in enumerate(FEATURES):
        values = rng.normal(size=(patients, count))
        if number % 3 == 0:
            values = (values > 0).astype(float)
        values = np.repeat(values, records, axis=0)
        if records > 1 and number % 3:
            values = values + WITHIN * rng.normal(size=values.shape)
        names = tuple(f"feature {place}" for place in range(count))
        probes[f"{number}: {count} features"] = Probe(names, values)
    sites = np.eye(4)[rng.integers(0, 4, patients)]
    probes["site"] = Probe(("A", "B", "C", "D"), np.repeat(sites, records, axis=0), True)
    return probes


def drawn_labels(patients: int, records: int, shares, rng: np.random.Generator) -> np.ndarray:
    """(records,) classes in about these shares; None draws one for every record."""
    if shares is None:
        return rng.permuted(np.tile(np.arange(records) % 3, (patients, 1)), axis=1).ravel()
    edges = np.rint(np.cumsum(shares) * patients).astype(int)
    return np.repeat(rng.permutation(np.searchsorted(edges, np.arange(patients), side="right")), records)


def smallest_p(family: Family, probes: dict[str, Probe]) -> float:
    """The smallest adjusted p-value of a family."""
    return min(p for name in probes if (p := family.told(name).p) is not None)


def false_alarms(sets: int, seed: int) -> None:
    """Prints how often a family without any signal has an alarm."""
    print("| shape | any alarm | with records exchanged | s a set |\n|---|---|---|---|")
    for name, (patients, records, shares) in SHAPES.items():
        alarms, wrong, begun = 0, 0, time.monotonic()
        for number in range(sets):
            rng = np.random.default_rng([seed, number])
            labels = drawn_labels(patients, records, shares, rng)
            probes = drawn_probes(patients, records, rng)
            for of_records in (False, True) if records > 1 and shares else (False,):
                owners = np.arange(len(labels)) // (1 if of_records else records)
                exchanges = Exchanges.of(exchange_units(labels, owners), seed=number)
                alarm = smallest_p(Family(probes, exchanges), probes) <= FAMILY_WISE
                alarms, wrong = alarms + (alarm and not of_records), wrong + (alarm and of_records)
        each = (time.monotonic() - begun) / sets
        of_records = f"{100 * wrong / sets:.1f} %" if records > 1 and shares else "-"
        print(f"| {name} | {100 * alarms / sets:.1f} % | {of_records} | {each:.2f} |", flush=True)


def planted(sets: int, seed: int, families: int) -> None:
    """Prints how often a mark is found that agrees with the label in a share of the patients."""
    print("| patients | dose | alone | one of 48 features |\n|---|---|---|---|")
    for patients in (10, 12, 16, 30, 60):
        for dose in (1.0, 0.9):
            found = [0, 0]
            for number in range(sets):
                for place, count in enumerate((1, 48)):
                    rng = np.random.default_rng([seed, number, patients])
                    labels = rng.permutation(np.arange(patients) % 2)
                    probes = drawn_probes(patients, 1, rng)
                    mark = labels.astype(float)
                    wrong = rng.permutation(patients)[: round((1 - dose) * patients)]
                    mark[wrong] = 1 - mark[wrong]
                    values = rng.normal(size=(patients, count))
                    values[:, 0] = mark
                    probes["planted"] = Probe(tuple(map(str, range(count))), values)
                    exchanges = Exchanges.of(exchange_units(labels, np.arange(patients)), seed=number)
                    p = Family(probes, exchanges, families).told("planted").p
                    found[place] += p <= FAMILY_WISE
            shares = " | ".join(f"{100 * count / sets:.0f} %" for count in found)
            print(f"| {patients} | {dose:g} | {shares} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--families", type=int, default=1, help="that share 5 %%, with --planted")
    flags = parser.parse_args()
    if flags.planted:
        planted(flags.sets, flags.seed, flags.families)
    else:
        false_alarms(flags.sets, flags.seed)
