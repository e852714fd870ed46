"""Sessions: what clients asked and were answered, kept in a database, with artifacts, searched and replayed."""
