"""Modules are loaded by name, once each, and only IPVS's."""

from ipaddress import IPv4Address, ip_address

import pytest

from ipvs_lb.commands import AddService, DeleteService
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Persistence, Service
from ipvs_lb.netlink.modules import MissingModules, modprobe

WEB = AddressKey(IPProtocol.UDP, ip_address("10.0.0.16"), Port(5060))
MASK = IPv4Address("255.255.255.255")
SIP = Service(scheduler="mh", persistence=Persistence(9, MASK), persistence_engine="sip")


def test_scheduler_and_engine_are_both_loaded_whatever_the_first_says() -> None:
    asked: list[str] = []

    def load(name: str) -> bool:
        asked.append(name)
        return name == "ip_vs_mh"

    assert MissingModules(load).provide(AddService(WEB, SIP))
    assert asked == ["ip_vs_mh", "ip_vs_pe_sip"]


def test_a_module_is_asked_for_once() -> None:
    modules = MissingModules(lambda _: True)
    assert modules.provide(AddService(WEB, SIP))
    assert not modules.provide(AddService(WEB, SIP))


def test_only_services_need_modules() -> None:
    assert not MissingModules(lambda _: True).provide(DeleteService(WEB))


@pytest.mark.parametrize(
    "name", ["ip_vs_no_such_scheduler", "ip_vs_../x", "-r", "ip_vs_rr\n", "xfs"]
)
def test_what_cannot_be_loaded_is_just_not_there(name: str) -> None:
    assert not modprobe(name)
