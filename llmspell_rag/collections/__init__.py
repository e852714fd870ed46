"""Documents, chunks and vectors in a database, and how passages are found among them."""
