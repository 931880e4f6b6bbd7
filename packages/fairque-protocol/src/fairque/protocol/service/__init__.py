"""Shared by the two services, worker and scheduler, and by the commands."""
