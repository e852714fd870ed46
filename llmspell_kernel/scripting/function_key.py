"""How a function of a script's is named in the contents that its worker sends."""

FUNCTION_KEY = "$fn"
"""It travels as `{"$fn": number}`."""
