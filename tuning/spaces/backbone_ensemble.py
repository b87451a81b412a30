"""One backbone a channel: as a single one."""

from tuning.spaces.backbone_classifier import declare

__all__ = ["declare"]
