"""Prepared sets and runs on disk."""
