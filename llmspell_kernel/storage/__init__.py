"""What outlives a request, for services: a database's reads and writes as awaitables."""
