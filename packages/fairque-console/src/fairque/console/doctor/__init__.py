"""The doctor: checks whether a server and a queue are ready for use, and says how to fix problems."""
