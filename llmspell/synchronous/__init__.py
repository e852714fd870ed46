"""The client without asyncio, written from `llmspell.asynchronous`."""
