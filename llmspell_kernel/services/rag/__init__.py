"""Documents that are found again: taken in, searched, and asked."""
