"""The kinds of events there are: their names, what each means, and how loud they are."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Level(enum.StrEnum):
    """info: it happened. warning: someone should look today. error: something was given up."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def reaches(self, least: Level) -> bool:
        """Whether this is as loud as *least*, or louder."""
        order = list(Level)
        return order.index(self) >= order.index(least)


EVENTS: Mapping[str, str] = {
    "client.refused": "Somebody asked the API on TCP without the right token.",
    "clients.forgotten": "UDP clients that asked before their service was there can find it now.",
    "clients.kept": "UDP clients that asked before their service was there may not find it for a while.",
    "config.loaded": "A configuration was read again and is in force.",
    "config.refused": "A configuration was refused; the old one stays in force.",
    "daemon.started": "The daemon has begun.",
    "daemon.stopped": "The daemon ends; the table goes on forwarding.",
    "drift.repaired": "Others changed what is ours in the kernel, and it was set right.",
    "drift.reported": "Others changed what is ours in the kernel, and it was left so.",
    "hook.failed": "A hook's call was given up. Hooks are not told.",
    "host.changed": "An address, the firewall or a sysctl was changed.",
    "host.failed": "An address, the firewall, a sysctl or the state directory could not be read or changed.",
    "host.recovered": "All of that is as it should be again.",
    "kernel.failed": "The kernel refused or did not answer; it is tried again.",
    "kernel.recovered": "The kernel does again what it is asked.",
    "octavia.changed": "A client of the Octavia-compatible API changed something.",
    "octavia.refused": "What clients of the Octavia-compatible API have made could not be brought in force.",
    "octavia.users": "The users file of the Octavia-compatible API cannot be read; the users are those of before.",
    "override.cleared": "An operator took an order on a server back.",
    "override.set": "An operator put an order on a server.",
    "panic.began": "Too few servers are healthy: checks are not believed.",
    "panic.ended": "Checks are believed again.",
    "plan.applied": "The kernel's table was changed.",
    "quorum.lost": "A service has fewer healthy servers than its quorum.",
    "quorum.regained": "A service has its quorum again.",
    "record.damaged": "Something that was remembered could not be read and is forgotten.",
    "server.changed": "Another rule decides about a server: it drains, warms up, stands by, ...",
    "server.down": "A server's checks fail, and it is out.",
    "server.removed": "A server is no longer declared and is gone.",
    "server.up": "A server's checks pass, and it is in.",
    "service.served": "A service can serve again.",
    "service.unserved": "No server of a service can serve.",
    "sysctl.missing": "A kernel parameter has not the value the configuration needs, and is not ours to set.",
    "task.crashed": "A fault in the daemon; what crashed was begun again.",
    "tier.changed": "Another tier of servers serves.",
    "vip.restored": "A VIP is back.",
    "vip.withdrawn": "A VIP was withdrawn.",
}
"""Every event by name, with its meaning."""

HOOKABLE = tuple(name for name in EVENTS if not name.startswith("hook."))
"""The events a hook can be told of: not those about hooks, or one that fails would feed itself."""
