"""Weights of other libraries as files that the networks here take."""
