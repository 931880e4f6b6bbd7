"""What the two services, worker and scheduler, do in the same way."""
