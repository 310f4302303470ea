"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# No test asserts times: the machine may be slow, and busy with the other tests.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
