"""Answers from outside: health checks, and the state of a worker on request."""
