"""Questions about lists: filters, tags, order, pages and fields."""

from __future__ import annotations

from tests.octavia.questions import NOBODY, SITE, all_of, create, scenario
from tests.octavia.world import PROJECT

MEMBERS = tuple(
    create(
        "member",
        f"m{number}",
        name=name,
        address=f"10.0.0.{20 + number}",
        weight=weight,
        backup=backup,
        tags=tags,
    )
    for number, (name, weight, backup, tags) in enumerate(
        [
            ("delta", 10, False, ["red"]),
            ("alpha", 20, True, ["red", "blue"]),
            ("charlie", 10, False, []),
            ("bravo", 30, False, ["blue", "green"]),
        ]
    )
)
_NAMES = "fields=name"
QUERIES = (
    f"?{_NAMES}",
    f"?name=alpha&{_NAMES}",
    "?fields=name&fields=weight",
    "?fields=name,weight",
    "?fields=nothing",
    f"?weight=10&{_NAMES}",
    f"?weight=10&name=delta&{_NAMES}",
    f"?weight=10&weight=20&{_NAMES}",
    f"?backup=true&{_NAMES}",
    f"?backup=True&{_NAMES}",
    f"?backup=false&{_NAMES}",
    f"?admin_state_up=true&{_NAMES}",
    f"?admin_state_up=false&{_NAMES}",
    f"?provisioning_status=ACTIVE&{_NAMES}",
    f"?provisioning_status=ERROR&{_NAMES}",
    f"?address=10.0.0.21&{_NAMES}",
    f"?protocol_port=80&{_NAMES}",
    f"?project_id={PROJECT}&{_NAMES}",
    f"?tenant_id={PROJECT}&{_NAMES}",
    f"?project_id=somebody&{_NAMES}",
    "?id={m1}&fields=name",
    f"?id={NOBODY}",
    "?foo=bar",
    "?weight=heavy",
    "?name=",
    f"?tags=red&{_NAMES}",
    f"?tags=red,blue&{_NAMES}",
    f"?tags=red&tags=blue&{_NAMES}",
    f"?tags-any=green,red&{_NAMES}",
    f"?not-tags=red,blue&{_NAMES}",
    f"?not-tags-any=red,green&{_NAMES}",
    f"?tags=red&not-tags=blue&{_NAMES}",
    f"?tags=purple&{_NAMES}",
    f"?sort=name&{_NAMES}",
    f"?sort=name:desc&{_NAMES}",
    f"?sort=weight:desc,name:asc&{_NAMES}",
    f"?sort_key=name&sort_dir=desc&{_NAMES}",
    f"?sort_key=weight&sort_key=name&sort_dir=asc&sort_dir=desc&{_NAMES}",
    f"?sort_key=name&{_NAMES}",
    "?sort=foo",
    "?sort_key=foo",
    "?sort=name:sideways",
    "?sort_key=name&sort_dir=up",
    "?limit=2",
    f"?limit=2&{_NAMES}",
    "?limit=2&marker={m1}",
    "?limit=2&marker={m3}",
    "?limit=1&marker={m2}",
    "?limit=2&sort=name",
    "?limit=2&sort=name&marker={m3}",
    "?limit=2&marker={m3}&page_reverse=True",
    "?limit=2&page_reverse=True",
    "?limit=1&marker={m1}&page_reverse=True",
    "?limit=4",
    f"?limit=5&{_NAMES}",
    f"?limit=0&{_NAMES}",
    f"?limit=-1&{_NAMES}",
    "?limit=x",
    f"?limit=100000&{_NAMES}",
    f"?marker={NOBODY}",
    "?marker=nobody",
    f"?weight=10&limit=1&{_NAMES}",
)
LISTS = scenario("lists", *SITE[:3], *MEMBERS, *(all_of("member", query) for query in QUERIES))

COLLECTIONS = scenario(
    "collections",
    *(all_of(kind) for kind in ("loadbalancer", "listener", "pool", "healthmonitor")),
    *SITE,
    *(all_of(kind) for kind in ("loadbalancer", "listener", "pool", "member", "healthmonitor")),
    create("loadbalancer", "other", name="other", vip_address="10.0.0.11", tags=["t"]),
    create("listener", "second", name="second", loadbalancer_id="{other}", protocol="UDP"),
    create("pool", "loose", name="loose", loadbalancer_id="{other}", protocol="UDP"),
    *(
        all_of("loadbalancer", query)
        for query in (
            "?name=other&fields=name",
            "?vip_address=10.0.0.11&fields=name",
            "?provider=nobody",
            "?tenant_id=nobody",
            "?tags=t&fields=name",
            "?description=&fields=name",
            "?operating_status=ERROR&fields=id",
            "?vip_subnet_id=somewhere",
            "?sort=name:desc&fields=name",
            "?limit=1",
            "?flavor_id=x",
            "?availability_zone=x",
            "?listeners={listener}&fields=name",
        )
    ),
    *(
        all_of("listener", query)
        for query in (
            "?loadbalancer_id={other}&fields=name",
            "?load_balancer_id={other}&fields=name",
            "?protocol=UDP&fields=name",
            "?protocol_port=80&fields=name",
            "?default_pool_id={pool}&fields=name",
            "?connection_limit=-1&fields=name",
            "?default_pool=x",
            "?sort=protocol_port,name&fields=name",
        )
    ),
    *(
        all_of("pool", query)
        for query in (
            "?loadbalancer_id={lb}&fields=name",
            "?listener_id={listener}",
            "?lb_algorithm=ROUND_ROBIN&fields=name",
            "?protocol=UDP&fields=name",
            "?healthmonitor_id={monitor}",
            "?tls_enabled=false&fields=name",
        )
    ),
    *(
        all_of("healthmonitor", query)
        for query in (
            "?pool_id={pool}&fields=name",
            "?pool_id={loose}",
            "?type=TCP&fields=name",
            "?delay=5&fields=name",
            "?max_retries=3",
        )
    ),
)
