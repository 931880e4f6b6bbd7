-- counters: the names of the counters of a queue.
local COUNTERS = {
  "queued", "pushed", "finished", "failed", "canceled", "retried", "snoozed", "released", "redriven", "expired",
  "stale", "broken", "fired", "missed", "skipped", "changes", "settings",
}
