"""Hooks: functions of scripts, and built-in ones of the configuration, called at points of the kernel's work."""
