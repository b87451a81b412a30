"""Hyper-parameter search with KerasTuner: python -m tuning.search; spaces/ says what is searched."""
