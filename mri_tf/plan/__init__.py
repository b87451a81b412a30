"""Looks at a raw folder that no task describes yet, and writes a task file for it."""
