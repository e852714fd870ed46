"""The Lua worker process."""
