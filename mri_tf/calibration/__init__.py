"""Calibrated probabilities, operating points and prediction sets."""
