"""The command line: a client of a kernel, in this process or another one."""
