"""One module a global of the script API."""
