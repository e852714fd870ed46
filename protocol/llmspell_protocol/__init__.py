"""What everyone speaks: messages, errors, frames, connection information and the client. Imports nothing."""
