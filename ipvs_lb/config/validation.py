"""Raw mappings to forms: every problem pydantic finds, at its place and in the operator's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ipvs_lb.config.fields import Form
from ipvs_lb.config.problems import Path, Problems, Unknown, shown
from ipvs_lb.config.tree import Spot, Unread

F = TypeVar("F", bound=Form)

_KEY_STEP = "[key]"  # what pydantic appends to the path of a mapping's key


@dataclass(frozen=True, slots=True)
class Filled(Generic[F]):
    """A form; `broken` are the keys that were refused, and have their defaults in it."""

    form: F
    broken: frozenset[str] = frozenset()


def fill(
    form: type[F], raw: Mapping[str, object], spot: Spot, problems: Problems
) -> Filled[F] | None:
    """The form that *raw* is, without what is wrong with it; None if the rest is not enough for one."""
    try:
        return Filled(form.model_validate(raw))
    except ValidationError as error:
        details = error.errors(include_url=False)
    for detail in details:
        _note(detail, form, spot, problems)
    broken = frozenset(str(detail["loc"][0]) for detail in details if detail["loc"])
    try:
        rest = form.model_validate({key: raw[key] for key in raw if key not in broken})
    except ValidationError:
        return None
    return Filled(rest, broken)


def _note(detail: ErrorDetails, form: type[Form], spot: Spot, problems: Problems) -> None:
    path: Path = detail["loc"]
    is_key = detail["type"] == "extra_forbidden" or path[-1:] == (_KEY_STEP,)
    target = spot.at(*path)
    walked, place = spot.tree.find(target.path, at_key=is_key)
    if detail["type"] == "missing":
        walked = (*walked, path[-1])
    if path[-1:] != ("<<",) and not isinstance(detail["input"], Unread):  # the reader has told
        problems.add(place, walked, _message(detail, form))


def _message(detail: ErrorDetails, form: type[Form]) -> object:
    match detail["type"]:
        case "extra_forbidden":
            owner = _form_at(form, detail["loc"][:-1]) or form
            return Unknown("unknown key", str(detail["loc"][-1]), tuple(owner.model_fields))
        case "missing":
            return "required key is missing"
        case "value_error":
            error: ValueError = detail["ctx"]["error"]
            return error.args[0]
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping, found {shown(detail['input'])}"
        case "list_type":
            return f"expected a list, found {shown(detail['input'])}"
        case "too_short":
            return "expected at least one item, found none"
        case _:
            return f"{detail['msg']}, found {shown(detail['input'])}"


def _form_at(form: type[Form], path: Path) -> type[Form] | None:
    """The form that the value at *path* inside of *form* is checked against."""
    current: type[Form] | None = form
    for step in path:
        if current is not None and step in current.model_fields:
            current = first_form(current.model_fields[str(step)].annotation)
    return current


def first_form(annotation: Any) -> type[Form] | None:
    """The first form among the parts of a type."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return annotation
    parts = (first_form(part) for part in get_args(annotation))
    return next((part for part in parts if part is not None), None)
