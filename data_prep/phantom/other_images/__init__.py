"""Phantoms whose test patients have other images than the training patients."""
