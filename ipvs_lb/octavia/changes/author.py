"""Who makes something, and what comes from the outside with a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ipvs_lb.octavia import quotas
from ipvs_lb.octavia.objects import LoadBalancer


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Whose a new load balancer is, and what else comes from the outside: the time, identifiers, limits of projects.

    What is in a load balancer is of its project, whoever asks. `moment` is Unix seconds, later each time it is asked
    for, so that what one request makes is listed in the order it has there.
    """

    project_id: str
    moment: Callable[[], float]
    new_id: Callable[[], str]
    quota_of: Callable[[str], quotas.Quota] = quotas.unlimited

    @property
    def now(self) -> float:
        """When the object that is made now is made."""
        return self.moment()

    @property
    def quota(self) -> quotas.Quota:
        """What the project may have."""
        return self.quota_of(self.project_id)

    def within(self, load_balancer: LoadBalancer) -> Author:
        """The author of something in *load_balancer*."""
        return replace(self, project_id=load_balancer.project_id)
