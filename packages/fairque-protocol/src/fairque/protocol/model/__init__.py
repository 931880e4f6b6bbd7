"""Models and pure decisions: tasks, states, priorities, scores, retries, and the registry of functions."""
