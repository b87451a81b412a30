"""SavedModels and ONNX files: python -m mri_tf.export."""
