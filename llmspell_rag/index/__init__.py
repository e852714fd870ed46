"""Vectors by number: the nearest of them, kept in memory and in files. Knows no documents and no database."""
