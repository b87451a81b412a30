"""The network from scratch of recipe A in 3D: its widths, dropout and training."""

from tuning.spaces import declare_training


def declare(space) -> None:
    """Ranges around the paper's n_c 16 and n_FC 200."""
    declare_training(space)
    space.Choice("model_args.conv_filters", [8, 16, 24], default=16)
    space.Choice("model_args.dense_units", [32, 64, 200], default=64)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)
