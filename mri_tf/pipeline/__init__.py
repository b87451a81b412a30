"""From a prepared set to batches: plan, read, augment, normalise."""


