"""The walkthrough by OpenStack's SDK, as `conn.load_balancer`: a program for a Python that has openstacksdk.

What it needs to know stands in the environment. What it has found is one JSON object.
"""

import json
import sys

import openstack  # type: ignore[import-not-found]  # it has an environment of its own


def main() -> None:
    """Make it, wait for it, look at it, change it; with the argument `delete` take it down again."""
    with openstack.connect() as cloud:
        if sys.argv[1:] == ["delete"]:
            delete(cloud)
        else:
            sys.stdout.write(json.dumps(create(cloud)))


def create(cloud):
    """What the finished load balancer looks like."""
    lbaas = cloud.load_balancer
    subnet = next(iter(cloud.network.subnets(name="private-subnet")))
    balancer = lbaas.create_load_balancer(name="sdk", vip_subnet_id=subnet.id)
    first = balancer.provisioning_status

    def settled():
        return lbaas.wait_for_load_balancer(balancer.id, interval=0.2, wait=30)

    settled()
    listener = lbaas.create_listener(
        name="web", protocol="TCP", protocol_port=80, load_balancer_id=balancer.id
    )
    settled()
    pool = lbaas.create_pool(
        name="web", protocol="TCP", lb_algorithm="ROUND_ROBIN", listener_id=listener.id
    )
    settled()
    for address in ("10.0.0.4", "10.0.0.6"):
        lbaas.create_member(pool, name=address, address=address, protocol_port=80)
        settled()
    monitor = lbaas.create_health_monitor(
        pool_id=pool.id, type="HTTP", url_path="/health", delay=1, timeout=1, max_retries=1
    )
    settled()
    lbaas.update_member(lbaas.find_member("10.0.0.6", pool), pool, weight=3)
    found = settled()
    return {
        "first": first,
        "last": found.provisioning_status,
        "vip": found.vip_address,
        "listeners": [one.name for one in lbaas.listeners(load_balancer_id=balancer.id)],
        "weights": {one.name: one.weight for one in lbaas.members(pool)},
        "monitor": lbaas.get_health_monitor(monitor.id).url_path,
        "nobody": lbaas.find_load_balancer("nobody"),
        "provider": [one.name for one in lbaas.providers()],
        "connections": lbaas.get_load_balancer_statistics(balancer.id).total_connections,
    }


def delete(cloud):
    """Take it down with all that is in it."""
    balancer = cloud.load_balancer.find_load_balancer("sdk", ignore_missing=False)
    cloud.load_balancer.delete_load_balancer(balancer.id, cascade=True)
    cloud.load_balancer.wait_for_delete(balancer, interval=0.2, wait=30)


if __name__ == "__main__":
    main()
