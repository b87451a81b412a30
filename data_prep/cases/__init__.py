"""From one patient's files to records."""
