"""Where a model's files come from: one module a kind of source. Imported by pull workers only."""
