"""What every other package may use: errors, command lines, progress, files, hashes, processes."""
