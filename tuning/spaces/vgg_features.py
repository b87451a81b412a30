"""Dense layers on frozen VGG16 features (recipe A, 2D): their width, dropout and training."""

from tuning.spaces import declare_training


def declare(space) -> None:
    """Ranges around the paper's n_FC 100."""
    declare_training(space)
    space.Choice("model_args.dense_units", [32, 100, 200], default=100)
    space.Float("model_args.dropout", 0.2, 0.6, step=0.1, default=0.5)
