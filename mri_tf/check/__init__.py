"""Looks at data and task before anything is trained: counts, copies, sizes, cost, and pictures."""
