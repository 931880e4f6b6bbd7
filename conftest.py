"""For all tests: how fast the machine is decides nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("fairque", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fairque")
