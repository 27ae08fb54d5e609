"""Commands and questions as generic netlink payloads of the IPVS family (linux/ip_vs.h, IPVS_CMD_*)."""

from __future__ import annotations

from typing import assert_never

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
)
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.netlink import daemons, servers, services
from ipvs_lb.netlink.attributes import nested
from ipvs_lb.netlink.messages import generic

FAMILY_NAME = "IPVS"
SERVICE, SERVER, DAEMON = 1, 2, 3  # IPVS_CMD_ATTR_SERVICE, _DEST, _DAEMON

(
    NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST,
    NEW_DAEMON, DEL_DAEMON, GET_DAEMON, SET_CONFIG, GET_CONFIG, SET_INFO, GET_INFO, ZERO, FLUSH,
) = (generic(command, 1) for command in range(1, 18))  # fmt: skip


def get_service(key: ServiceKey) -> bytes:
    """The question for one service, which has one answer."""
    return GET_SERVICE + nested(SERVICE, services.encode_key(key))


def get_servers(key: ServiceKey) -> bytes:
    """The question for all servers of a service, to be sent as a dump."""
    return GET_DEST + nested(SERVICE, services.encode_key(key))


class Encoder:
    """Encodes commands; plans come service by service, so the last service's name is kept encoded."""

    def __init__(self) -> None:
        self._key: ServiceKey | None = None
        self._named = b""

    def encode(self, command: Command) -> bytes:
        """The payload of one request."""
        match command:
            case AddServer(key, server_key, server):
                return self._server(NEW_DEST, key, servers.encode(server_key, server))
            case EditServer(key, server_key, server):
                return self._server(SET_DEST, key, servers.encode(server_key, server))
            case DeleteServer(key, server_key):
                return self._server(DEL_DEST, key, servers.encode_key(server_key))
            case AddService(key, service):
                return NEW_SERVICE + nested(SERVICE, services.encode(key, service))
            case EditService(key, service):
                return SET_SERVICE + nested(SERVICE, services.encode(key, service))
            case DeleteService(key):
                return DEL_SERVICE + nested(SERVICE, services.encode_key(key))
            case _:
                return _rare(command)

    def _server(self, request: bytes, key: ServiceKey, content: bytes) -> bytes:
        if key is not self._key:
            self._key, self._named = key, nested(SERVICE, services.encode_key(key))
        return request + self._named + nested(SERVER, content)


def _rare(command: SetTimeouts | StartDaemon | StopDaemon | ZeroCounters | Flush) -> bytes:
    match command:
        case SetTimeouts(timeouts):
            return SET_CONFIG + daemons.encode_timeouts(timeouts)
        case StartDaemon(daemon):
            return NEW_DAEMON + nested(DAEMON, daemons.encode(daemon))
        case StopDaemon(role):
            return DEL_DAEMON + nested(DAEMON, daemons.encode_role(role))
        case ZeroCounters(key):
            return ZERO if key is None else ZERO + nested(SERVICE, services.encode_key(key))
        case Flush():
            return FLUSH
        case _:
            assert_never(command)
