"""Looks for the known traps of a data set and its sides: leaks that are certain, and labels that can be
told from what is not anatomy."""
