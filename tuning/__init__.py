"""Hyper-parameter search with KerasTuner; its command comes with its own issue."""
