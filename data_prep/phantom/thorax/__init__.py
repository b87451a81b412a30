"""The thorax phantom."""
