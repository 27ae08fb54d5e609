"""Questions about what is refused before any object is looked at, and what is not there."""

from __future__ import annotations

from tests.octavia.questions import (
    LOAD_BALANCER,
    NOBODY,
    SITE,
    ask,
    create,
    remove,
    scenario,
    show,
    update,
)

DOORS = scenario(
    "doors",
    *(
        ask("GET", path)
        for path in (
            "/",
            "/v2",
            "/v2.0",
            "/v2.0/",
            "/v2/lbaas",
            "/v2.0/lbaas",
            "/v1",
            "/v3",
            "/nobody",
        )
    ),
    ask("GET", "nobody"),
    ask("GET", "/v2.0/lbaas/loadbalancers/"),
    ask("GET", "/v2.0/lbaas/loadbalancers.json"),
    ask("GET", "/v2/loadbalancers"),
    ask("GET", "/v2/lbaas/loadbalancers"),
    ask("GET", f"loadbalancers/{NOBODY}/nothing"),
    ask("GET", f"loadbalancers/{NOBODY}/status/more"),
    ask("PATCH", "loadbalancers"),
    ask("PATCH", f"loadbalancers/{NOBODY}", body={"loadbalancer": {"name": "x"}}),
    ask("PUT", "loadbalancers", body={"loadbalancer": {"name": "x"}}),
    ask("DELETE", "loadbalancers"),
    ask("POST", f"loadbalancers/{NOBODY}", body={"loadbalancer": {"name": "x"}}),
    ask("POST", "/", body={}),
    ask("GET", "loadbalancers", "list as text/html", headers={"Accept": "text/html"}),
    ask("GET", "loadbalancers", "list as */*", headers={"Accept": "*/*"}),
    ask(
        "GET",
        "loadbalancers",
        "list as text, then JSON",
        headers={"Accept": "text/plain, application/json"},
    ),
)


MISSING = scenario(
    "missing",
    *SITE,
    *(
        show(kind, NOBODY)
        for kind in ("loadbalancer", "listener", "pool", "member", "healthmonitor")
    ),
    *(
        update(kind, NOBODY, name="x")
        for kind in ("loadbalancer", "listener", "pool", "member", "healthmonitor")
    ),
    *(
        remove(kind, NOBODY)
        for kind in ("loadbalancer", "listener", "pool", "member", "healthmonitor")
    ),
    ask("GET", "loadbalancers/not-a-uuid"),
    ask("GET", "listeners/not-a-uuid"),
    ask("GET", "pools/not-a-uuid"),
    ask("GET", "healthmonitors/not-a-uuid"),
    ask("GET", "pools/{pool}/members/not-a-uuid"),
    ask("GET", f"pools/{NOBODY}/members"),
    ask("GET", f"pools/{NOBODY}/members/{{member}}"),
    ask("GET", f"loadbalancers/{NOBODY}/status"),
    ask("GET", f"loadbalancers/{NOBODY}/stats"),
    ask("GET", f"listeners/{NOBODY}/stats"),
    ask("PUT", f"loadbalancers/{NOBODY}/failover"),
    ask(
        "POST",
        f"pools/{NOBODY}/members",
        body={"member": {"address": "10.0.0.4", "protocol_port": 80}},
    ),
    ask("PUT", f"pools/{NOBODY}/members", body={"members": []}),
    create("listener", protocol_port=90, loadbalancer_id=NOBODY),
    create("listener", protocol_port=90, default_pool_id=NOBODY),
    create("pool", loadbalancer_id=NOBODY),
    create("healthmonitor", pool_id=NOBODY),
    create("listener", protocol_port=90, loadbalancer_id=...),
    create("pool", loadbalancer_id=...),
)


BODIES = scenario(
    "bodies",
    LOAD_BALANCER,
    *(
        ask("POST", "loadbalancers", f"create from {raw or 'nothing'}", raw=raw)
        for raw in (
            *("", "{", "[]", '"text"', "null", "5", "{}", '{"loadbalancer": null}'),
            *('{"loadbalancer": []}', '{"loadbalancer": "text"}', '{"listener": {}}'),
            '{"loadbalancer": {}, "more": 1}',
        )
    ),
    ask("POST", "listeners", "create listener from nothing", raw=""),
    ask("POST", "pools", "create pool from nothing", raw=""),
    ask("POST", "healthmonitors", "create healthmonitor from nothing", raw=""),
    ask("POST", f"pools/{NOBODY}/members", "create member from nothing", raw=""),
    ask("PUT", "loadbalancers/{lb}", "update from nothing", raw=""),
    ask("PUT", "loadbalancers/{lb}", "update from a broken text", raw='{"loadbalancer": '),
    ask("PUT", "loadbalancers/{lb}", "update nothing at all", body={"loadbalancer": {}}),
    ask("POST", "loadbalancers", "create from a wrong word", body={"load_balancer": {}}),
)


AROUND = scenario(
    "around",
    ask("GET", "providers"),
    ask("GET", "providers?fields=name"),
    ask("GET", "providers/nobody/flavor_capabilities"),
    ask("GET", "providers/octavia/flavor_capabilities"),
    ask("GET", "providers/octavia/availability_zone_capabilities"),
    ask("GET", "flavors"),
    ask("GET", f"flavors/{NOBODY}"),
    ask("GET", "flavorprofiles"),
    ask("GET", f"flavorprofiles/{NOBODY}"),
    ask("GET", "availabilityzones"),
    ask("GET", "availabilityzones/nowhere"),
    ask("GET", "availabilityzoneprofiles"),
    ask("GET", f"availabilityzoneprofiles/{NOBODY}"),
    ask("GET", "/v2.0/octavia/amphorae"),
    ask("GET", f"/v2.0/octavia/amphorae/{NOBODY}"),
    ask("GET", "/v2/octavia/amphorae"),
)
