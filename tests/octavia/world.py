"""A gateway behind the compatible API that has no kernel: real objects, desk and policy, a table as declared."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from ipvs_lb import loads
from ipvs_lb.engine.control import Snapshot
from ipvs_lb.errors import KernelError, StoreError
from ipvs_lb.model.cloud import (
    AddressRange,
    Identification,
    Network,
    OctaviaListener,
    OctaviaSettings,
    Subnet,
    identifier_of,
)
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import IPAddress, Port, ServiceKey
from ipvs_lb.model.table import Statistics
from ipvs_lb.octavia import files, passwords, storage
from ipvs_lb.octavia.app import create_app
from ipvs_lb.octavia.auth import Door
from ipvs_lb.octavia.desk import Desk, Outside
from ipvs_lb.octavia.rest.scene import Scene
from ipvs_lb.octavia.sight import Sight
from ipvs_lb.octavia.users import Role, User, Users
from tests.fake_control import FakeControl

PROJECT = "a3a9af91b9e547739bfcb02cc2acded0"
OTHER = "eac679e4896146e6827ce29d755fe289"
ORIGIN = "http://127.0.0.1:9876"
SECRET = "correct horse"


def network(name: str, *subnets: tuple[str, str, str, str], external: bool = False) -> Network:
    """A network of subnets, each told by name, CIDR, first and last address to give out."""
    identifier = identifier_of("network", name)
    return Network(
        id=identifier,
        name=name,
        external=external,
        subnets=tuple(
            Subnet(
                id=identifier_of("subnet", name, subnet),
                name=subnet,
                network_id=identifier,
                cidr=ip_network(cidr),
                pools=(AddressRange(ip_address(first), ip_address(last)),),
            )
            for subnet, cidr, first, last in subnets
        ),
    )


PRIVATE = network(
    "private-net",
    ("private-subnet", "10.0.0.0/24", "10.0.0.3", "10.0.0.250"),
    ("private-subnet-6", "fd00::/64", "fd00::3", "fd00::ff"),
    ("private-subnet-2", "10.0.1.0/24", "10.0.1.3", "10.0.1.250"),
)
PUBLIC = network(
    "public-net", ("public-subnet", "203.0.113.0/24", "203.0.113.10", "203.0.113.12"), external=True
)
SUBNET, SUBNET_6, SUBNET_2 = (subnet.id for subnet in PRIVATE.subnets)
SETTINGS = OctaviaSettings(
    listener=OctaviaListener(
        address=ip_address("127.0.0.1"), port=Port(9876), identification=Identification.NONE
    ),
    project_id=PROJECT,
    project_name="demo",
    networks=(PRIVATE, PUBLIC),
)
CHEAP = replace(passwords.hashed("", b"salt"), log2_cost=1)
_PASSWORD = replace(CHEAP, digest=passwords._scrypt(SECRET.encode(), CHEAP))


def user(name: str, role: Role, project: str | None = None) -> User:
    """Somebody whose password is checked quickly."""
    return User(name=name, password=_PASSWORD, role=role, project_id=project)


USERS: Users = {
    one.name: one
    for one in (
        user("admin", Role.ADMIN),
        user("demo", Role.MEMBER),
        user("watcher", Role.OBSERVER),
        user("stranger", Role.MEMBER, OTHER),
    )
}


WITH_PASSWORDS = replace(
    SETTINGS, listener=replace(SETTINGS.listener, identification=Identification.PASSWORD)
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def fault(self) -> tuple[int, str]:
        body = self.json
        assert body["debuginfo"] is None
        assert body["faultcode"] in {"Client", "Server"}
        return self.status, body["faultstring"]

    @property
    def problem(self) -> tuple[int, str, str]:
        """Of the network slice."""
        body = self.json["NeutronError"]
        assert body["detail"] == ""
        return self.status, body["type"], body["message"]


@dataclass
class World:
    """One gateway. `held` keeps changes from the kernel, `broken` lets it refuse them, `full` is a disk without room."""

    settings: OctaviaSettings = SETTINGS
    users: dict[str, User] = field(default_factory=lambda: dict(USERS))
    texts: dict[str, str] = field(default_factory=dict)
    control: FakeControl = field(
        default_factory=lambda: FakeControl(config=Config(), counters=ServerCounters())
    )
    files: tuple[DeclaredService, ...] = ()
    services: dict[str, tuple[DeclaredService, ...]] = field(default_factory=dict)
    told: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    broken: str | None = None
    full: bool = False
    authorization: str | None = None
    static_token: str | None = None

    def __post_init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self._shown = files.NOTHING
        self.desk = Desk(
            self.settings,
            storage.read(self.texts),
            Outside(
                declare=self._declare,
                keep=self._keep,
                clock=lambda: self.control.now,
                told=lambda event, facts: self.told.append((event, facts)),
                claimed=self._claimed,
            ),
        )
        self.door = Door(
            self.settings,
            lambda: self.users,
            clock=lambda: self.control.now,
            static_token=self.static_token,
        )
        self.scene = Scene(
            desk=self.desk,
            sight=Sight(self.desk.catalogue, self.snapshot),
            door=self.door,
            statistics=self._statistics,
            occupied=self._occupied,
        )
        self.app = create_app(self.scene)

    def snapshot(self) -> Snapshot:
        return self.control.snapshot()

    async def _statistics(self, keys: Set[ServiceKey]) -> Statistics:
        return await self.control.statistics(keys)

    def again(self) -> World:
        """The same gateway after a restart."""
        return World(settings=self.settings, texts=self.texts, control=self.control)

    def load(self, text: str) -> None:
        """Have the configuration file *text* in force."""
        config = loads(text)
        self.files, self._shown = (
            config.services,
            files.shown(config.services, self.settings, self.control.now, self._shown),
        )
        self.desk.catalogue.show_files(self._shown.objects)
        self._enforce()

    def _claimed(self, key: ServiceKey) -> str | None:
        places = [one.origin for one in self.files if key in one.keys]
        return places[0] if places else None

    async def _declare(self, group: str, services: Sequence[DeclaredService]) -> None:
        await self.free.wait()
        if self.broken:
            raise KernelError(self.broken)
        self.services[group] = tuple(services)
        self._enforce()

    def _enforce(self) -> None:
        declared = tuple(one for of_group in self.services.values() for one in of_group)
        old = self.control
        self.control = FakeControl(
            config=Config(services=(*self.files, *declared)),
            now=old.now + 1,
            health=old.health,
            history=old.history,
            counters=old.counters,
            listeners=old.listeners,
        )

    async def _keep(self, texts: Mapping[str, str | None]) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise StoreError("no space left on device")
        for name, text in texts.items():
            if text is None:
                self.texts.pop(name, None)
            else:
                self.texts[name] = text

    def _occupied(self) -> set[IPAddress]:
        return {ip_address("10.0.0.5")}

    def hold(self) -> None:
        """Nothing comes into force until `release`."""
        self.free.clear()

    async def release(self) -> None:
        """Everything comes into force."""
        self.free.set()
        await self.desk.finish()

    def come_as(self, name: str, password: str = SECRET) -> None:
        """Ask as somebody from here on."""
        self.authorization = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    # asking

    async def ask(self, method: str, target: str, body: object = None, **headers: str) -> Answer:
        """One request."""
        if self.authorization is not None:
            headers = {"authorization": self.authorization, **headers}
        return await asked(self.app, method, target, body, **headers)

    async def get(self, target: str) -> Any:
        """What a question that is answered brings."""
        answer = await self.ask("GET", target)
        assert answer.status == 200, answer
        return answer.json

    async def make(self, path: str, key: str, **fields: object) -> dict[str, Any]:
        """An object that has come into force."""
        answer = await self.ask("POST", f"/v2.0/lbaas/{path}", {key: fields})
        assert answer.status == 201, answer
        await self.desk.finish()
        made: dict[str, Any] = answer.json[key]
        return made

    async def load_balancer(self, **fields: object) -> str:
        made = await self.make(
            "loadbalancers", "loadbalancer", **{"vip_subnet_id": SUBNET, "name": "lb", **fields}
        )
        return str(made["id"])

    async def listener(self, load_balancer: str, **fields: object) -> str:
        given = {"protocol": "TCP", "protocol_port": 80, "loadbalancer_id": load_balancer}
        return str((await self.make("listeners", "listener", **given, **fields))["id"])

    async def pool(self, **fields: object) -> str:
        given = {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
        return str((await self.make("pools", "pool", **{**given, **fields}))["id"])

    async def member(self, pool: str, address: str = "10.0.0.4", **fields: object) -> str:
        given = {"address": address, "protocol_port": 80}
        made = await self.make(f"pools/{pool}/members", "member", **{**given, **fields})
        return str(made["id"])

    async def monitor(self, pool: str, **fields: object) -> str:
        given = {"pool_id": pool, "type": "HTTP", "delay": 60, "timeout": 20, "max_retries": 2}
        made = await self.make("healthmonitors", "healthmonitor", **{**given, **fields})
        return str(made["id"])

    async def site(self) -> Site:
        """A load balancer with one of everything."""
        load_balancer = await self.load_balancer()
        listener = await self.listener(load_balancer)
        pool = await self.pool(listener_id=listener)
        member = await self.member(pool)
        monitor = await self.monitor(pool)
        return Site(load_balancer, listener, pool, member, monitor)


@dataclass(frozen=True, slots=True)
class Site:
    """The identifiers of a load balancer and what is in it."""

    load_balancer: str
    listener: str
    pool: str
    member: str
    monitor: str


async def asked(
    app: ASGIApp, method: str, target: str, body: object = None, **headers: str
) -> Answer:
    """What *app* answers to one request."""
    content = body if isinstance(body, bytes) else b"" if body is None else _dumps(body)
    named = {"host": "127.0.0.1:9876", "content-length": str(len(content))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    parts = urlsplit(target)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(n.encode(), v.encode()) for n, v in named.items()],
        "client": ("192.0.2.1", 1234),
        "server": ("127.0.0.1", 9876),
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], head, b"".join(part.get("body", b"") for part in sent[1:]))


def _dumps(body: object) -> bytes:
    return json.dumps(body).encode()
