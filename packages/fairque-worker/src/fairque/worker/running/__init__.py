"""Runs tasks: in threads, on an event loop, or through child processes."""
