"""Answers requests from outside: health checks, metrics, and dumps of the current activity."""
