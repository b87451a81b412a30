"""How raw folders are organised: one layout a file, named by the `layout` of a task."""
