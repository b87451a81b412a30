"""From a Task to a Keras model, and a model's predictions."""
