"""What commands show of a workflow while it runs: a tree at a terminal, lines elsewhere."""
