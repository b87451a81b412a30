"""The dictionaries of a task as frozen dataclasses, checked once."""

from dataclasses import dataclass, field

AROUND = ("mask", "brain")


def patch_settings(
    *, shape: tuple[int, int, int], foreground_share: float = 0.5, overlap: float = 0.5
) -> dict:
    """The values of `patch` in a task; overlap is that of the windows when a volume is predicted."""
    return {"shape": shape, "foreground_share": foreground_share, "overlap": overlap}


def box_settings(*, around: str, grid: tuple[int, int, int], margin_voxels: int = 10) -> dict:
    """The values of `box` in a task."""
    return {"around": around, "grid": grid, "margin_voxels": margin_voxels}


def spacing_settings(*, grid: tuple[int, int], margin_mm: float = 6.0, medians: float = 1.0) -> dict:
    """The values of `spacing` in a task: pixels of the network are `medians` fitted medians wide."""
    return {"grid": grid, "margin_mm": margin_mm, "medians": medians}


@dataclass(frozen=True, kw_only=True)
class Group:
    """Variables with a learning rate of their own, instead of the task's."""

    variables: str  # regex of paths
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What a task's `fine_tune` may hold; without any of it all layers train, by Adam."""

    train: str | tuple[str, ...] = ()  # regexes of the variables that train; none: all
    groups: dict = field(default_factory=dict)  # name -> values of a Group
    optimizer: str = "adam"
    momentum: float = 0.0  # of sgd
    weight_decay: float = 0.0  # of adamw: decoupled (Loshchilov and Hutter 2019), of kernels alone
    decay: float = 1.0  # factor on every learning rate
    decay_every: int = 1  # epochs; 7 with decay=0.1 is StepLR(7, 0.1)
