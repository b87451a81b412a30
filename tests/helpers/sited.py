"""Scores of patients of several sites, for tests of what is counted within sites."""

import numpy as np

from mri_tf.metrics.classifier import checked


def scored(truth, scores, patients=None):
    """Two classes with probabilities in the order of the scores."""
    chances = 1 / (1 + np.exp(-np.asarray(scores, float)))
    both = np.stack([1 - chances, chances], axis=1)
    patients = np.arange(len(truth)) if patients is None else patients
    return checked(np.asarray(truth), both, both.argmax(axis=1), patients)


def of_sites(sizes, seed=0, shift=0.0, skill=1.0, records=1):
    """(predictions, sites): of each site so many negative and positive patients; scores of a site move
    together by `shift` times its number."""
    rng, truth, scores, sites, patients = np.random.default_rng(seed), [], [], [], []
    for number, counts in enumerate(sizes):
        for label, count in enumerate(counts):
            for _ in range(count):
                truth += [label] * records
                patients += [f"{number}-{label}-{len(patients)}"] * records
                scores += list(rng.normal(shift * number + skill * label, 1, records))
                sites += [f"S{number}"] * records
    return scored(truth, scores, patients), np.array(sites)
