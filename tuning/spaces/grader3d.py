"""The 3D grading network of recipe E: width, dropout, L2 and training."""

from tuning.spaces import declare_training


def declare(space) -> None:
    """Ranges around the paper's dropout of 0.4 and weight decay of 1e-4; it is silent on widths."""
    declare_training(space)
    space.Choice("model_args.filters", [8, 16, 24], default=16)
    space.Choice("model_args.dense_units", [32, 64, 128], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.4)
    space.Float("model_args.weight_decay", 1e-6, 1e-3, sampling="log", default=1e-4)
