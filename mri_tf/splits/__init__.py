"""Which patients are on the training, validation and test side."""
