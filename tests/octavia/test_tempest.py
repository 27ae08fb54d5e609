"""OpenStack's own tests of the API, a choice that is over in seconds: `scripts/conformance` runs all of them."""

import pytest

from tests.octavia.serve import served
from tests.octavia.suites import ALL, Outcome, tempest_only

CHOSEN = (
    "load_balancer_(?!list|ipv6)",
    "tcp_listener_(?!list)",
    "udp_listener_create",
    "TCP_RR_pool_(?!list)",
    "ipv4_TCP_RR_.*member_create",
    "TCP_RR_member_(?!list)",
    "RR_TCP_healthmonitor_(?!list)",
)
"""Tests of lists wait between what they make."""


@pytest.mark.timeout(300)  # seconds; the programs of OpenStack start slowly
def test_a_choice_of_openstacks_own_tests_passes():
    with served() as gateway:
        outcome = tempest_only(gateway.origin, rf"{ALL}.*\.test_({'|'.join(CHOSEN)})", 34)
        assert outcome == Outcome(suite="tempest", passed=outcome.passed, skipped=0, failed=())
        assert gateway.problems == []
        assert not any(gateway.world.services.values())
