"""What a request makes of the objects: each function reads a body and answers with a `Change`, or raises a Fault.

Rules kept here, Octavia's:
1. A load balancer is the unit of change: only one that is ACTIVE can be changed, and a change of anything in it makes
   it, the listeners and the pool concerned PENDING_UPDATE until the kernel has it.
2. What is deleted is PENDING_DELETE until the kernel has let go of it.
3. Nothing is made of a request that is refused in any part.
"""

from ipvs_lb.octavia.changes.author import Author
from ipvs_lb.octavia.changes.listeners import create_listener, delete_listener, update_listener
from ipvs_lb.octavia.changes.load_balancers import (
    create_load_balancer,
    delete_load_balancer,
    fail_over,
    update_load_balancer,
)
from ipvs_lb.octavia.changes.members import (
    create_member,
    delete_member,
    replace_members,
    update_member,
)
from ipvs_lb.octavia.changes.monitors import create_monitor, delete_monitor, update_monitor
from ipvs_lb.octavia.changes.pools import create_pool, delete_pool, update_pool
from ipvs_lb.octavia.changes.settling import settled

__all__ = [
    "Author",
    "create_listener",
    "create_load_balancer",
    "create_member",
    "create_monitor",
    "create_pool",
    "delete_listener",
    "delete_load_balancer",
    "delete_member",
    "delete_monitor",
    "delete_pool",
    "fail_over",
    "replace_members",
    "settled",
    "update_listener",
    "update_load_balancer",
    "update_member",
    "update_monitor",
    "update_pool",
]
