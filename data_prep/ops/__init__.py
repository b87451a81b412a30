"""Pure operations on Volumes: arrays in, arrays out, no files and no chance."""
