"""Agents: models with a conversation and tools."""
