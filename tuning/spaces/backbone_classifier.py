"""A fine-tuned backbone (recipes B, C, D): its step and dropout; what trains is the task's to say."""

from tuning.spaces import declare_training


def declare(space) -> None:
    """Steps down to a tenth of what a network from scratch needs: weights of other data are to stay."""
    declare_training(space, lowest_rate=1e-5)
    space.Float("model_args.dropout", 0.0, 0.5, step=0.1, default=0.0)
