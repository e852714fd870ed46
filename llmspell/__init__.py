"""llmspell for Python programs and notebooks."""
