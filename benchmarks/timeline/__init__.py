"""When each stage of a command or a request is reached, seen from outside: product code knows nothing of it."""
