"""Child processes of a worker, which run tasks isolated from all others."""
