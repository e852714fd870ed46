"""Events: what scripts, clients and the kernel itself tell to whom wants to hear it."""
