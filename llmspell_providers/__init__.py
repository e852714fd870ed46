"""Models: names, catalog, pull, store, residency and one module a backend."""
