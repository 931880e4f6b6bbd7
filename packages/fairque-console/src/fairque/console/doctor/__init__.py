"""The doctor: checks whether a server and a queue are fit for work, and says how to fix what is not."""
