"""The names of script engines that a client may ask a kernel for; which of them a kernel has, it says itself."""

ENGINES = ("lua", "javascript", "python")
DEFAULT_ENGINE = "lua"
