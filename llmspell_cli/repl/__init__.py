"""The repl: inputs at a terminal, or from a file, that run one after another in a kernel's shared script context."""
