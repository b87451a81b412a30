"""Raw scans to prepared sets: readers, operations and one prep module a task."""
