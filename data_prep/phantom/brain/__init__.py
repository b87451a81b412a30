"""The brain phantom."""
