"""Pictures in one folder a class."""
