"""When cron expressions fire in their time zones: pure arithmetic, with croniter for the syntax alone."""
