"""Takes tasks and reports how they ended: one thread makes all these calls."""
