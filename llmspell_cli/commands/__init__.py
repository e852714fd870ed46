"""One module a command or group of commands; loaded when the command is called."""
