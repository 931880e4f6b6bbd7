"""Processes of a worker: children that run tasks apart from all others, and the supervisor of several workers."""
