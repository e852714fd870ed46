"""The built-in hooks, which the configuration switches on: a file a hook."""
