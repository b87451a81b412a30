"""The glioma phantoms."""
