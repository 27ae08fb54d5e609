"""What clients see of the load balancer when a server fails: `ipvs-lb lab guest -- pytest lab`."""

import pytest

CHECKS = {"interval": "1s", "fast_interval": "1s", "timeout": "900ms", "rise": 1, "fall": 2}


@pytest.fixture
def lab(ipvs_lb_lab):
    lab = ipvs_lb_lab(checks=CHECKS)
    lab.expect("web-1 in within 5s")
    lab.expect("web-2 in within 5s")
    return lab


def test_clients_are_served_by_both_in_turn_also_while_the_daemon_restarts(lab):
    lab.do("restart daemon")
    assert {lab.get("web"), lab.get("web")} == {"web-1", "web-2"}
    assert {lab.get("web", port=443), lab.get("web", port=443)} == {"web-1", "web-2"}


def test_a_server_that_stops_is_not_seen_by_clients_for_long(lab):
    lab.do("stop web-1")
    lab.expect("web-1 out within 4s")
    lab.expect("traffic to web without errors for 1s")
    page = lab.client.run(["curl", "--silent", "--fail", "http://10.0.0.16/"])
    assert page.stdout == "web-2\n"
    for port in lab.status()["services"]:
        states = {server["name"]: server["state"] for server in port["servers"]}
        assert states == {"web-1": "down", "web-2": "up"}
