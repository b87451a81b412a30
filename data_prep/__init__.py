"""Raw scans to prepared sets: layouts of raw folders, readers, operations and the writer."""
