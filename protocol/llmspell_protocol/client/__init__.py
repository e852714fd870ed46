"""The client: a core without sockets, and a synchronous and an asyncio client over it."""
