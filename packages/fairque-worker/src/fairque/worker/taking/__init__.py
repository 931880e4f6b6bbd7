"""Takes tasks and reports how they ended: one thread owns every conversation about tasks."""
