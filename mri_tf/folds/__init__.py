"""Cells of cross-validation: which patients are on which side of each fold, and how each is trained."""
