"""Hyper-parameter search with KerasTuner: python -m tuning.search; spaces.py says what is searched."""
