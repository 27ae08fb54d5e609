"""Lists: filters, tags, order, fields and pages."""

from __future__ import annotations

import pytest

from ipvs_lb.octavia.listing import Lazy, listed
from tests.octavia.world import ORIGIN, SUBNET, World

LB = "/v2.0/lbaas"
TAGS = {"a": ["red"], "b": ["red", "blue"], "c": ["blue"], "d": []}


async def four() -> World:
    """Pools a to d with tags; the later the name, the later they are made."""
    world = World()
    load_balancer = await world.load_balancer()
    for name, tags in TAGS.items():
        await world.pool(
            loadbalancer_id=load_balancer, name=name, tags=tags, admin_state_up=name != "c"
        )
    return world


async def names(world: World, query: str) -> str:
    rows = (await world.get(f"{LB}/pools?{query}"))["pools"]
    return "".join(row["name"] for row in rows)


QUERIES = [
    ("", "abcd"),
    ("name=b", "b"),
    ("name=x", ""),
    ("protocol=TCP&name=c", "c"),
    ("admin_state_up=true", "abd"),
    ("admin_state_up=False", "c"),
    ("provisioning_status=ACTIVE", "abcd"),
    ("tags=red", "ab"),
    ("tags=red,blue", "b"),
    ("tags=red&tags=blue", "b"),
    ("tags-any=red,blue", "abc"),
    ("not-tags=red,blue", "acd"),
    ("not-tags=red", "cd"),
    ("not-tags-any=red,blue", "d"),
    ("sort=name:desc", "dcba"),
    ("sort=name", "abcd"),
    ("sort_key=name&sort_dir=desc", "dcba"),
    ("sort=admin_state_up:desc,name:desc", "dbac"),
    ("sort_key=protocol&sort_key=name&sort_dir=asc&sort_dir=desc", "dcba"),
    ("limit=2", "ab"),
    ("limit=0", "abcd"),
    ("limit=-1", "abcd"),
    ("limit=infinite", "abcd"),
    ("limit=2000", "abcd"),
    ("tags=blue&sort=name:desc&limit=1", "c"),
    ("project_id=a3a9af91b9e547739bfcb02cc2acded0", "abcd"),
    ("tenant_id=a3a9af91b9e547739bfcb02cc2acded0", "abcd"),
    ("project_id=nobody", ""),
    ("description=", "abcd"),
    ("tls_container_ref=None", "abcd"),
]


@pytest.mark.parametrize(("query", "found"), QUERIES)
async def test_a_list_holds_what_is_asked_for_in_its_order(query, found):
    assert await names(await four(), query) == found


async def test_every_field_of_one_value_can_be_filtered_and_sorted_by():
    skipped = {
        "healthmonitor_id",
        "session_persistence",
        "allowed_cidrs",
        "tls_versions",
        "alpn_protocols",
    }
    world = World()
    site = await world.site()
    for path in (
        "loadbalancers",
        "listeners",
        "pools",
        "healthmonitors",
        f"pools/{site.pool}/members",
    ):
        key = path.rpartition("/")[2]
        row = (await world.get(f"{LB}/{path}"))[key][0]
        for name, value in row.items():
            if isinstance(value, dict | list) or name in skipped:
                continue
            found = (await world.get(f"{LB}/{path}?{name}={value}&sort={name}:desc"))[key]
            assert [one["id"] for one in found] == [row["id"]], name


async def test_what_belongs_to_something_is_found_by_it():
    world = World()
    site = await world.site()
    other = await world.load_balancer(name="other")
    for path in ("listeners", "pools"):
        for name in ("loadbalancer_id", "load_balancer_id"):
            mine = (await world.get(f"{LB}/{path}?{name}={site.load_balancer}"))[path]
            assert len(mine) == 1
            assert (await world.get(f"{LB}/{path}?{name}={other}"))[path] == []
    monitors = await world.get(f"{LB}/healthmonitors?pool_id={site.pool}")
    assert [one["id"] for one in monitors["healthmonitors"]] == [site.monitor]
    assert [
        one["name"]
        for one in (await world.get(f"{LB}/loadbalancers?vip_address=10.0.0.4"))["loadbalancers"]
    ] == ["other"]


async def test_only_the_fields_asked_for_are_shown():
    world = World()
    site = await world.site()
    rows = (await world.get(f"{LB}/pools?fields=name&fields=id"))["pools"]
    assert [row.keys() for row in rows] == [{"name", "id"}]
    assert (await world.get(f"{LB}/pools?fields=foo"))["pools"] == [{}]
    one = (await world.get(f"{LB}/pools/{site.pool}?fields=protocol"))["pool"]
    assert one == {"protocol": "TCP"}


async def test_following_the_links_shows_everything_once_in_order():
    world = await four()
    target, seen = f"{LB}/pools?limit=2&sort=name:desc", ""
    while target:
        answer = await world.get(target)
        seen += "".join(row["name"] for row in answer["pools"])
        links = {link["rel"]: link["href"] for link in answer["pools_links"]}
        target = links.get("next", "").removeprefix(ORIGIN)
    assert seen == "dcba"


async def test_links_lead_back_as_well():
    world = await four()
    rows = (await world.get(f"{LB}/pools"))["pools"]
    third = await world.get(f"/v2/lbaas/pools?limit=1&marker={rows[1]['id']}")
    assert [row["name"] for row in third["pools"]] == ["c"]
    links = {link["rel"]: link["href"] for link in third["pools_links"]}
    assert links["next"] == f"{ORIGIN}/v2/lbaas/pools?limit=1&marker={rows[2]['id']}"
    back = await world.get(links["previous"].removeprefix(ORIGIN))
    assert [row["name"] for row in back["pools"]] == ["b"]
    assert {link["rel"] for link in back["pools_links"]} == {"previous", "next"}
    first = await world.get(f"{LB}/pools?limit=3&marker={rows[1]['id']}&page_reverse=True")
    assert [row["name"] for row in first["pools"]] == ["a"]
    assert [link["rel"] for link in first["pools_links"]] == ["next"]


async def test_a_list_that_ends_has_no_link():
    world = await four()
    assert (await world.get(f"{LB}/pools"))["pools_links"] == []
    rows = (await world.get(f"{LB}/pools"))["pools"]
    end = await world.get(f"{LB}/pools?marker={rows[3]['id']}")
    assert end == {"pools": [], "pools_links": []}
    await world.ask("POST", f"{LB}/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    await world.desk.finish()


async def test_a_name_of_this_server_that_cannot_be_one_is_not_repeated():
    world = await four()
    answer = await world.ask("GET", f"{LB}/pools?limit=1", host="evil.example/'><x")
    assert answer.json["pools_links"][0]["href"].startswith(f"{ORIGIN}/v2.0/lbaas/pools?")
    answer = await world.ask("GET", f"{LB}/pools?limit=1", host="lb.example:9876")
    assert answer.json["pools_links"][0]["href"].startswith("http://lb.example:9876/v2.0/")


def test_a_page_of_a_long_list_costs_what_its_own_rows_cost():
    rendered = []

    def row(number: int) -> Lazy:
        known = {"id": str(number), "created_at": f"{number:04}", "tags": []}

        def render():
            rendered.append(number)
            return {**known, "weight": number % 7}

        return Lazy(known, render)

    def page(*query: tuple[str, str]):
        rows = [row(number) for number in range(1000)]
        names = {name: name for name in ("id", "created_at", "weight")}
        found = listed(rows, query, url="", fields=names, filters=names)
        return [(one["id"], one["weight"], len(one)) for one in found.rows]

    assert page(("limit", "2"), ("marker", "41")) == [("42", 0, 4), ("43", 1, 4)]
    assert rendered == [42, 43]
    assert page(("weight", "3"), ("limit", "1")) == [("3", 3, 4)]
