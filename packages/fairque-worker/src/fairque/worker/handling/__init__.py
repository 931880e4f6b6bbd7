"""What running a task means: its function, and the values that it pulls and pushes."""
