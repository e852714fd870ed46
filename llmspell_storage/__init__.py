"""SQLite for whatever has a database in the home: opening, migrating, errors, words. Needs no asyncio and no kernel."""
