"""How raw folders are organised: one layout per file, named by the `layout` of a task."""
