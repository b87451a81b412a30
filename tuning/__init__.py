"""Hyper-parameter search with KerasTuner; the command is `search`, what it varies is in `spaces`."""
