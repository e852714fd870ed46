"""Settings of llmspell: the schema, the builtin profiles and the loader. Import the module you need."""
