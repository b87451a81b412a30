"""From the files of one case to its records."""
