"""The in-house backend: one worker process a loaded model."""
