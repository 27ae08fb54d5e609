"""Asking the link whether another host has an address already (RFC 5227, RFC 4862)."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from ipvs_lb.addresses import frames, wire
from ipvs_lb.addresses.trouble import translated
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import IPAddress

QUESTIONS = 3
"""How often an address is asked for within the waiting time; questions and answers get lost."""

_LARGEST = 2048
_Where = tuple[str, IPAddress]


@dataclass(frozen=True, slots=True)
class _Ear:
    """Where the answers of one interface and family come in, and how they are read."""

    interface: str
    answers: socket.socket
    claim: Callable[[bytes], tuple[IPAddress, str] | None]


def probe(places: Iterable[InterfaceAddress], wait: float = 0.5) -> dict[InterfaceAddress, str]:
    """The MAC addresses of the other hosts that have one of *places*, all asked for at once.

    Takes *wait* seconds, less when every address is answered. Links that are down or have no
    neighbours are not asked. Raises HostError.
    """
    wanted = {(place.interface, place.address): place for place in places}
    with translated("probe for duplicate addresses"):
        questions = dict(_questions(wanted))
        found = _ask(questions, wait) if questions else {}
    return {wanted[where]: mac for where, mac in found.items()}


def _questions(wanted: Iterable[_Where]) -> Iterator[tuple[_Where, bytes]]:
    for interface, address in wanted:
        link = wire.link_of(interface)
        if link.resolves and link.is_up:
            yield (interface, address), frames.question(link.mac, address)


def _ask(questions: dict[_Where, bytes], wait: float) -> dict[_Where, str]:
    own = {frames.mac_text(wire.link_of(name).mac) for _, name in socket.if_nameindex()}
    found: dict[_Where, str] = {}
    with ExitStack() as stack, selectors.DefaultSelector() as ears:
        mouth = stack.enter_context(wire.frame_sender())
        for ear in _ears(questions):
            stack.enter_context(ear.answers)
            ears.register(ear.answers, selectors.EVENT_READ, ear)
        for _ in range(QUESTIONS):
            for where in questions.keys() - found.keys():
                _say(mouth, questions[where], where[0])
            deadline = time.monotonic() + wait / QUESTIONS
            while len(found) < len(questions) and (rest := deadline - time.monotonic()) > 0:
                found |= {
                    where: mac
                    for key, _ in ears.select(rest)
                    for where, mac in _hear(key.data)
                    if where in questions and mac not in own
                }
    return found


def _say(mouth: socket.socket, question: bytes, interface: str) -> None:
    try:
        mouth.sendto(question, (interface, 0))
    except OSError as error:  # nobody can be heard over a link that went down
        if error.errno not in wire.LINK_DOWN:
            raise


def _ears(questions: Iterable[_Where]) -> Iterator[_Ear]:
    for name, version in {(name, address.version) for name, address in questions}:
        if version == 4:  # noqa: PLR2004  # IP versions
            yield _Ear(name, wire.frame_receiver(name, frames.ETH_P_ARP), frames.arp_claim)
        else:
            messages = wire.icmpv6_socket(name, frames.ND_ADVERTISEMENT)
            yield _Ear(name, messages, frames.advertisement_claim)


def _hear(ear: _Ear) -> Iterator[tuple[_Where, str]]:
    """The address on the ear's interface that was claimed, and by whom."""
    try:
        claim = ear.claim(ear.answers.recv(_LARGEST, socket.MSG_DONTWAIT))
    except BlockingIOError:  # a packet that was dropped for its checksum
        return
    if claim is not None:
        address, mac = claim
        yield (ear.interface, address), mac
