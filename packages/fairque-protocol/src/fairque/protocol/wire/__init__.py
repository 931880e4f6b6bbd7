"""What goes over the wire: keys, messages, scripts, status codes, and calls as values."""
