"""One module a message family: what a request means, in terms of services."""
