"""The API of a real Octavia on a listening socket that the parent hands over, for the reference of benchmarks and tests.

    ~/.cache/ipvs-lb/octavia-19/bin/python benchmarks/octavia_server.py FOLDER DESCRIPTOR

Run by the Python that has Octavia, so it imports nothing of this repository. FOLDER holds `octavia.conf`; the networks
that Octavia's no-op driver believes in are kept there, too, and not where all instances would share them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

THREADS = 4
LOOKUPS = {
    "ProvisioningStatus": "SUPPORTED_PROVISIONING_STATUSES",
    "OperatingStatus": "SUPPORTED_OPERATING_STATUSES",
    "HealthMonitorType": "SUPPORTED_HEALTH_MONITOR_TYPES",
    "Algorithm": "SUPPORTED_LB_ALGORITHMS",
    "Protocol": "SUPPORTED_PROTOCOLS",
    "SessionPersistenceType": "SUPPORTED_SP_TYPES",
    "AmphoraRoles": "SUPPORTED_AMPHORA_ROLES",
    "LBTopology": "SUPPORTED_LB_TOPOLOGIES",
    "VRRPAuthMethod": "SUPPORTED_VRRP_AUTH",
    "L7RuleType": "SUPPORTED_L7RULE_TYPES",
    "L7RuleCompareType": "SUPPORTED_L7RULE_COMPARE_TYPES",
    "L7PolicyAction": "SUPPORTED_L7POLICY_ACTIONS",
    "ClientAuthenticationMode": "SUPPORTED_CLIENT_AUTH_MODES",
}
"""The tables of words that a migration would fill, and the constants that list the words."""


def application(folder: Path) -> Any:
    """Octavia's WSGI application, with a new database."""
    sqlalchemy = import_module("sqlalchemy")
    driver: Any = import_module("octavia.network.drivers.noop_driver.driver")
    driver.create_engine = lambda _url: sqlalchemy.create_engine(f"sqlite:///{folder}/networks.db")
    words = ["octavia-api", "--config-file", str(folder / "octavia.conf")]
    made = import_module("octavia.api.app").setup_app(argv=words)
    api = import_module("octavia.db.api")
    import_module("oslo_config.cfg").CONF.set_override("pool_timeout", None, group="database")
    import_module("octavia.db.base_models").BASE.metadata.create_all(api.get_engine())
    models = import_module("octavia.db.models")
    constants = import_module("octavia.common.constants")
    session = api.get_session()
    with session.begin():
        for model, words_of in LOOKUPS.items():
            for word in getattr(constants, words_of):
                session.add(getattr(models, model)(name=word))
    return made


def main() -> None:
    """Serve until told to end: one process, as one of those that a site would run."""
    folder, descriptor = Path(sys.argv[1]), int(sys.argv[2])
    base: Any = import_module("gunicorn.app.base").BaseApplication

    class Server(base):  # type: ignore[misc]  # of a library that is not installed here
        def load_config(self) -> None:
            for name, value in {
                "bind": f"fd://{descriptor}",
                "workers": 1,
                "threads": THREADS,
                "worker_class": "gthread",
                "keepalive": 60,
                "loglevel": "warning",
                "control_socket_disable": True,
            }.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Any:
            return application(folder)

    Server().run()


if __name__ == "__main__":
    main()
