"""The wire format: keys, messages, scripts, status codes, and calls as values."""
