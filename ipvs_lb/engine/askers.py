"""Those who wait until what they declared is in force."""

from __future__ import annotations

import asyncio

from ipvs_lb.errors import LBError


class Askers:
    """Each asks once, and is answered after a round that began when it had asked already."""

    def __init__(self) -> None:
        self._asked: list[asyncio.Future[None]] = []

    def ask(self) -> asyncio.Future[None]:
        """Done when all is in force; or it has the error that hinders that."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        return asked

    def take(self) -> list[asyncio.Future[None]]:
        """Those that the round which begins now is for."""
        asked, self._asked = self._asked, []
        return asked

    def put_back(self, asked: list[asyncio.Future[None]]) -> None:
        """They wait for another round."""
        self._asked = asked + self._asked


def answer(asked: list[asyncio.Future[None]], trouble: LBError | None) -> None:
    """Tell all of them that it is done, or what hinders it."""
    for one in asked:
        if one.done():
            continue
        if trouble is None:
            one.set_result(None)
        else:
            one.set_exception(trouble)
