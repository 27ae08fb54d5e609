"""From what is declared, what is believed and what was ordered to the table the kernel should have.

Everything is decided per virtual service (a declared service with two ports is two), from the declaration, the health
of its probes, overrides, removed servers, connection counts, the time, and a `Memory` of the decision before. The first
of these rules that applies to a server decides about it:

1.  A server declared `disabled` is never in.
2.  An override in force stands above agent, damping, checks and panic. `down`: out, as `on_down` says. `drain`: weight
    0 until no connection is left or `drain_timeout` after it was ordered, then out. `up`: able to serve whatever the
    checks say, with its declared weight. `weight`: that weight, and nothing else, in place of the declared and reported.
3.  An agent's `maint` is a `down`, its `drain` a `drain`, until it says `ready`. Panic respects rules 1 to 3.
4.  A server whose checks have no verdict yet is out. Of its checks `required` (default: all) must be up; it is down when
    that cannot come about any more. The first result of each check decides alone, then `rise` and `fall`.
5.  A server that is down is removed, or gets weight 0 with `on_down: quiesce` (unless it is a waiting backup).
6.  Flap damping: `changes` changes of a check within `window` hold the server down for `hold`, doubling each time the
    next hold begins less than a window after the last, up to `max_hold`.
7.  A server without checks is healthy. A weight from a check replaces the declared one (the least, if several), a
    percentage from an agent scales it, rounded up; both count only while their check is up; the result is 0 to 65535.

Then the servers of the service decide together:

8.  Panic: when the share of servers that are not down or held, among those that rules 1 to 3 do not touch, is below
    `panic_threshold`, rules 5 and 6 are off. It comes before quorum and tiers: panic is about not believing the checks.
9.  Quorum counts the servers of the first tier that could serve with weight above 0, not their weights. It is lost at
    none or below `servers - hysteresis`, and regained at `servers + hysteresis`, or at all there are if that is less but
    not less than `servers`. The first decision compares with `servers`. Lost, it withdraws the VIP (the table stays),
    or lets the next tier that can serve take over; if no other can, the first goes on.
10. Only one tier serves: the lowest that has a server able to serve with weight above 0, but for rule 9. The servers of
    the others are out. Those that had been in keep their connections: they are drained as in rule 2.
    Sorry servers are the last tier.
11. A server of weight 0 is in with its tier, and counts for nothing.
12. Slow start: a server that comes to serve beside others that serve already gets its weight in steps. Not so the
    servers that were there at the first decision (the process has just started, or the service is new) and wait for
    their first result; nor under an override `up` or `weight`, nor in panic.
13. A server that is not declared any more drains until its record's deadline, at the latest; declared again, it is a
    server like any other. So no server is both in and drained.

And the services of one VIP:

14. A service that has no server for a new connection, or whose quorum is lost and withdraws, is unable. Its VIP goes
    when a service that says `vip_down_when: any` is unable, or when all are and one says `all`. With `never` a service
    has no say, except that a quorum which withdraws then counts as `any`.
15. A VIP that is not there yet waits for the first server behind it, or until no first result is awaited any more.
"""

from ipvs_lb.policy.adoption import starting_health
from ipvs_lb.policy.datapath import NO_DATAPATH, Datapath, datapath
from ipvs_lb.policy.decision import all_layouts, decide, effective, merge
from ipvs_lb.policy.drains import unfinished
from ipvs_lb.policy.inputs import Drain, Inputs, Memory, Removed
from ipvs_lb.policy.members import Layout, Member, Seat, layouts, members, probes_of
from ipvs_lb.policy.rulings import Decision, Rule, Ruling, ServiceDecision, VipRuling
from ipvs_lb.policy.service import decide_service
from ipvs_lb.policy.vips import decide_vip, tenants

__all__ = [
    "NO_DATAPATH",
    "Datapath",
    "Decision",
    "Drain",
    "Inputs",
    "Layout",
    "Member",
    "Memory",
    "Removed",
    "Rule",
    "Ruling",
    "Seat",
    "ServiceDecision",
    "VipRuling",
    "all_layouts",
    "datapath",
    "decide",
    "decide_service",
    "decide_vip",
    "effective",
    "layouts",
    "members",
    "merge",
    "probes_of",
    "starting_health",
    "tenants",
    "unfinished",
]
