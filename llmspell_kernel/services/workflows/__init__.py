"""Workflows: definitions of steps, and the engine that runs them."""
