"""Questions about load balancers that are made by one call with all that is in them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.octavia.questions import Json, all_of, ask, remove, scenario
from tests.octavia.world import SUBNET

TREE = {
    "vip_subnet_id": SUBNET,
    "vip_address": "10.0.0.30",
    "name": "tree",
    "listeners": [
        {
            "name": "tree-listener",
            "protocol": "TCP",
            "protocol_port": 80,
            "default_pool": {
                "name": "tree-pool",
                "protocol": "TCP",
                "lb_algorithm": "LEAST_CONNECTIONS",
                "healthmonitor": {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2},
                "members": [{"address": "10.0.0.4", "protocol_port": 80}],
            },
        }
    ],
}


def _nested(**fields: Json) -> Json:
    return {"loadbalancer": {**TREE, **fields}}


TREES: Mapping[str, Mapping[str, Json]] = {
    "a listener of no protocol": {"listeners": [{"protocol_port": 80}]},
    "a listener of no port": {"listeners": [{"protocol": "TCP"}]},
    "a wrong port": {"listeners": [{"protocol": "TCP", "protocol_port": 99999}]},
    "one port twice": {"listeners": [{"protocol": "TCP", "protocol_port": 80}] * 2},
    "an unknown attribute": {"listeners": [{"protocol": "TCP", "protocol_port": 80, "foo": 1}]},
    "an unknown pool": {
        "listeners": [{"protocol": "TCP", "protocol_port": 80, "default_pool": {"name": "nobody"}}]
    },
    "listeners that are no list": {"listeners": {"protocol": "TCP"}},
    "a pool of no name": {
        "listeners": [],
        "pools": [{"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}],
    },
    "a wrong member": {
        "vip_address": "10.0.0.32",
        "listeners": [],
        "pools": [
            {
                "name": "p",
                "protocol": "TCP",
                "lb_algorithm": "ROUND_ROBIN",
                "members": [{"address": "10.0.0.4", "protocol_port": 80, "weight": 999}],
            }
        ],
    },
}


AT_ONCE = scenario(
    "all at once",
    ask("POST", "loadbalancers", "a whole tree", body=_nested(), keep={"lb": "loadbalancer.id"}),
    all_of("listener"),
    all_of("pool", "?fields=name&fields=lb_algorithm&fields=members"),
    all_of("healthmonitor"),
    ask("GET", "loadbalancers/{lb}/status", "states of the tree"),
    remove("loadbalancer", "lb", "?cascade=true"),
    ask(
        "POST",
        "loadbalancers",
        "a pool by its name",
        body=_nested(
            vip_address="10.0.0.31",
            pools=[{"name": "shared", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}],
            listeners=[
                {
                    "name": f"l{port}",
                    "protocol": "TCP",
                    "protocol_port": port,
                    "default_pool": {"name": "shared"},
                }
                for port in (80, 443)
            ],
        ),
    ),
    *(
        ask("POST", "loadbalancers", f"a tree with {words}", body=_nested(**fields))
        for words, fields in TREES.items()
    ),
    all_of("loadbalancer", "?fields=name"),
)
