"""SQLite for what outlives a request: one way to open, migrate, read and write a database of the home."""
