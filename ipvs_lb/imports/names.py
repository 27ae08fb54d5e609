"""Names for what has none elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipvs_lb.config import values


def is_name(text: str) -> bool:
    """Whether *text* can be the name of a service or pool."""
    try:
        values.name(text)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class Names:
    """Names given so far; each is given once."""

    given: set[str] = field(default_factory=set)

    def give(self, *wishes: str) -> str:
        """The first of *wishes* that can be a name; with a number where it is taken."""
        wish = next(one for one in wishes if is_name(one))
        name, number = wish, 1
        while name in self.given:
            number += 1
            name = f"{wish}-{number}"
        self.given.add(name)
        return name
