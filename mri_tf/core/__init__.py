"""Used by every other package: errors, command lines, progress, files, hashes, processes."""
