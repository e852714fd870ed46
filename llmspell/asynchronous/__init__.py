"""The asyncio client, written by hand; `llmspell.synchronous` is written from it."""
