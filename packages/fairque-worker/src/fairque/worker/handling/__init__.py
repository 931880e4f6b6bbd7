"""Runs the function of a task, with the values that it pulls and pushes."""
