"""The backends that run on the kernel's machine, in the order in which a model's name is looked for."""

LOCAL_BACKENDS = ("ollama", "candle")
