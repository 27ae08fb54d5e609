"""The configuration as a lab plays it: one file, with the scenario's timing, and nothing that reaches beyond the lab.

Left out are hooks, ports of the API and of metrics, and the compatible API: a lab calls nobody and needs no secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ipvs_lb.config.documents import Document

Timing = Mapping[str, str | int]
_LEFT_OUT = frozenset(
    {"api", "hooks", "include", "metrics", "networks", "octavia", "pools", "services"}
)


def playable(documents: Sequence[Document], timing: Timing) -> str:
    """The text of the configuration that *documents* are, every check having *timing* instead of its own."""
    first, *_ = roots = [document.tree.root for document in documents]
    whole: dict[str, Any] = {key: value for key, value in first.items() if key not in _LEFT_OUT}
    whole["daemon"] = {k: v for k, v in first.get("daemon", {}).items() if k != "watch"}
    whole["pools"] = {name: pool for root in roots for name, pool in root.get("pools", {}).items()}
    whole["services"] = [service for root in roots for service in root.get("services", [])]
    return json.dumps(_quick(whole, timing), ensure_ascii=False)


def _quick(value: Any, timing: Timing) -> Any:
    """*value* with *timing* in every check; a dollar sign has been read, and means itself."""
    match value:
        case dict():
            return dict(_items(value, timing))
        case list():
            return [_quick(item, timing) for item in value]
        case str():
            return value.replace("$", "$$")
        case _:
            return value


def _items(block: Mapping[str, Any], timing: Timing) -> Iterator[tuple[str, Any]]:
    for key, value in block.items():
        plain = _quick(value, timing)
        if key == "health_check" and isinstance(plain, dict):
            plain = {**plain, **timing}
        elif key == "health_checks" and isinstance(plain, list):
            plain = [{**check, **timing} for check in plain]
        yield key, plain
