"""The meningioma phantom."""
