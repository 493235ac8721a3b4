"""Programs of devices that cannot run Ray: the standard library and pyarrow, and nothing of tierflow."""
