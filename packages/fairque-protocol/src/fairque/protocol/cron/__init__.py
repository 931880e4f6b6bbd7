"""Computes when cron expressions fire in their time zones. Pure arithmetic; croniter only parses the syntax."""
