"""Operations on Volumes and arrays, without files and without randomness."""
