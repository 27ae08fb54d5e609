"""The reference of the configuration as Markdown: `python -m ipvs_lb.config.reference [FILE]` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ipvs_lb.config.api import ApiForm, ApiListenerForm
from ipvs_lb.config.check_forms import FORMS, CheckForm, CheckSettings, TlsForm
from ipvs_lb.config.compose import MAX_DEPTH, MAX_VALUES
from ipvs_lb.config.documents import MAX_BYTES, MAX_FILES
from ipvs_lb.config.fields import Form, Listed, Scalar
from ipvs_lb.config.forms import (
    DaemonForm,
    DefaultsForm,
    FlapDampingForm,
    IncludedForm,
    PersistenceForm,
    PoolForm,
    QuorumForm,
    RootForm,
    ServerForm,
    ServerSettings,
    ServiceForm,
    ServiceSettings,
    SlowStartForm,
    SyncForm,
    TimeoutsForm,
    TunnelForm,
    VipForm,
)
from ipvs_lb.config.hook_forms import HookExecForm, HookForm, WebhookForm
from ipvs_lb.config.json_schema import written
from ipvs_lb.config.metrics import MetricsForm
from ipvs_lb.config.networks import NetworkForm, SubnetForm
from ipvs_lb.config.octavia import OctaviaForm, QuotasForm
from ipvs_lb.config.validation import first_form

SECTIONS: dict[str, type[BaseModel]] = {
    "The file": RootForm,
    "Service": ServiceForm,
    "VIP": VipForm,
    "Server": ServerForm,
    "Pool": PoolForm,
    "Tunnel": TunnelForm,
    "Persistence": PersistenceForm,
    "Quorum": QuorumForm,
    "Slow start": SlowStartForm,
    "Flap damping": FlapDampingForm,
    "Health check": CheckForm,
    "Defaults": DefaultsForm,
    "Timeouts": TimeoutsForm,
    "Sync daemon": SyncForm,
    "Daemon": DaemonForm,
    "API": ApiForm,
    "API listener": ApiListenerForm,
    "Metrics": MetricsForm,
    "Network": NetworkForm,
    "Subnet": SubnetForm,
    "Octavia": OctaviaForm,
    "Quotas": QuotasForm,
    "Hook": HookForm,
    "Webhook": WebhookForm,
    "Hook program": HookExecForm,
    "Included file": IncludedForm,
}
_LINKS: dict[type[BaseModel], str] = {form: title for title, form in SECTIONS.items()} | {
    ServiceSettings: "Service",
    ServerSettings: "Server",
    CheckSettings: "Health check",
    TlsForm: "TLS of a check",
}
_INTRODUCTION = f"""\
# Configuration reference

A configuration is a YAML file. Every key there is stands below with its type, its default and its meaning; a key
that is not known, or stands twice, is refused with its place. `ipvs-lb validate` tells every problem at once.

- **Durations** have units: `60s`, `500ms`, `2m`, `1h30m`, `1d`. A number alone is refused. What the kernel counts is
  whole seconds.
- **Yes or no** is written `yes`/`no`, `on`/`off` or `true`/`false`. Words mean what their key makes of them: a server
  may be called `off`. Numbers have no leading zeros.
- **Environment**: `${{NAME}}` in a value is the variable's value, an error when it is not set; `${{NAME:-default}}` has
  a default; `$$` is a dollar sign. Inside of `{{...}}` and `[...]` put the value in quotes; it is read as if it had none.
- **Anchors and aliases** (`&web`, `*web`) repeat whole values. Merge keys (`<<`) and tags (`!!str`) are refused:
  use `defaults` and `pools`.
- **Limits**: {MAX_BYTES // 2**20} MiB and {MAX_FILES} files, {MAX_VALUES} values (aliases counted in full), {MAX_DEPTH} levels.
- **Bytes** are text, sent as UTF-8, or `{{hex: 00ff}}`.

The JSON Schema for editors is `config/schema.json`; name it in the first line of a file:
`# yaml-language-server: $schema=/path/to/schema.json`.
"""


def text() -> str:
    """The whole reference."""
    parts = [_INTRODUCTION]
    parts += [_section(title, form) for title, form in SECTIONS.items()]
    parts += [_check_section(name) for name in FORMS]
    parts.append(_section("TLS of a check", TlsForm))
    return "\n".join(parts)


def _section(title: str, form: type[BaseModel]) -> str:
    return "\n".join([f"## {title}\n", f"{_first_line(form)}\n", *_table(_fields(form)), ""])


def _fields(form: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of *form*, its own before those it shares with other forms."""
    classes = [one for one in form.__mro__ if issubclass(one, Form)]
    names = [name for one in classes for name in one.__annotations__]
    return {name: form.model_fields[name] for name in names if name in form.model_fields}


def _check_section(name: str) -> str:
    form = FORMS[name]
    own = {
        key: field
        for key, field in form.model_fields.items()
        if key not in CheckForm.model_fields and key != "type"
    }
    table = _table(own) if own else ["No keys of its own."]
    return "\n".join([f"## Health check type `{name}`\n", f"{_first_line(form)}\n", *table, ""])


def _first_line(form: type[BaseModel]) -> str:
    return (form.__doc__ or "").splitlines()[0]


def _table(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in fields.items():
        cells = (f"`{key}`", _kind(field), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(field: FieldInfo) -> str:
    parts = [*field.metadata, *_parts(field.annotation)]
    form = first_form(field.annotation)
    scalars = [part for part in parts if isinstance(part, Scalar)]
    kind = scalars[-1].kind if scalars and form is None else _link(form)
    if "list" in str(field.annotation):
        return (
            f"{kind} or list"
            if any(isinstance(part, Listed) for part in parts)
            else f"list: {kind}"
        )
    return f"mapping by name: {kind}" if "dict" in str(field.annotation) else kind


def _parts(annotation: Any) -> Iterator[Any]:
    """Everything a type is made of, metadata included."""
    for part in get_args(annotation):
        yield part
        yield from getattr(part, "__metadata__", ())
        yield from _parts(part)


def _link(form: type[BaseModel] | None) -> str:
    if form is None:
        return "text"
    title = "Health check" if issubclass(form, CheckForm) else _LINKS[form]
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]  # takes no data here
    shown = written(default)
    if shown is None or shown in ("", [], {}):
        return "all" if "all, any" in _kind(field) else ""
    return f"`{', '.join(map(str, shown)) if isinstance(shown, list) else shown}`"


if __name__ == "__main__":
    Path(*(sys.argv[1:2] or ["docs/reference/config.md"])).write_text(text())
