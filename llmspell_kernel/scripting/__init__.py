"""Script workers: which contexts exist, one process each, and the Lua child."""
