"""Tools: which there are, what a call may touch, and the processes that do the work."""
