"""Lists: filters, tags, sorting, fields and pages, over objects as they are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from urllib.parse import urlencode

from ipvs_lb.octavia.faults import MAX_SHOWN, Fault
from ipvs_lb.serial import JSON

MAX_LIMIT = 1000
_BY_DEFAULT = ("created_at",)
"""Rows of one second stay in the order in which they were made."""
_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
_RESERVED = {
    "limit",
    "marker",
    "page_reverse",
    "sort",
    "sort_key",
    "sort_dir",
    "fields",
    *_TAG_FILTERS,
}
Row = Mapping[str, JSON]


class Lazy(Mapping[str, JSON]):
    """A row of which some fields are known; *render* tells all of them, and is asked when others are wanted.

    So a page costs what its rows cost, whatever the length of the list.
    """

    def __init__(self, known: Row, render: Callable[[], Row]) -> None:
        self._known, self._render = known, render
        self._is_whole = False

    def __getitem__(self, name: str) -> JSON:
        return self._known[name] if name in self._known else self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def _whole(self) -> Row:
        if not self._is_whole:
            self._known, self._is_whole = self._render(), True
        return self._known


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of an answer, and the links to those before and after."""

    rows: list[Row]
    links: list[dict[str, str]]


def listed(
    rows: Iterable[Row],
    query: Sequence[tuple[str, str]],
    *,
    url: str,
    fields: Collection[str],
    filters: Mapping[str, str],
    any_of: bool = False,
) -> Page:
    """Those of *rows* that *query* asks for, in its order.

    Rows can be sorted by *fields*, and filtered by the names of *filters*, each with the field it looks at. *url* is
    that of the list. Of several values for one filter, *any_of* them will do. Raises Fault.
    """
    wanted = _filters(query, filters, any_of=any_of)
    tags = _tags(query)
    chosen = [row for row in rows if _fits(row, wanted) and (not tags or _has_tags(row, tags))]
    ordered = _sorted(chosen, query, fields)
    page = _paged(ordered, query, url)
    return Page([_with_fields(row, query) for row in page.rows], page.links)


def _all(query: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in query if key == name]


def _last(query: Sequence[tuple[str, str]], name: str) -> str | None:
    found = _all(query, name)
    return found[-1] if found else None


def _filters(
    query: Sequence[tuple[str, str]], known: Mapping[str, str], *, any_of: bool
) -> dict[str, list[str]]:
    """The values wanted, by the field they are wanted of."""
    wanted: dict[str, list[str]] = {}
    for name, value in query:
        if name in _RESERVED:
            continue
        if name not in known or (known[name] in wanted and not any_of):
            raise Fault(400, "One or more arguments are either duplicate or invalid")
        wanted.setdefault(known[name], []).append(value)
    return wanted


def _fits(row: Row, wanted: Mapping[str, Sequence[str]]) -> bool:
    return all(
        any(_equals(row.get(name), value) for value in values) for name, values in wanted.items()
    )


def _equals(value: JSON, wanted: str) -> bool:
    match value:
        case bool():
            return wanted.lower() in ({"true", "1"} if value else {"false", "0"})
        case None:
            return wanted in {"", "None", "null"}
        case list():
            return any(isinstance(one, dict) and one.get("id") == wanted for one in value)
        case _:
            return str(value) == wanted


def _tags(query: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """The tags asked for, by the filter that asks for any."""
    asked = {
        name: {tag for value in _all(query, name) for tag in value.split(",") if tag}
        for name in _TAG_FILTERS
    }
    return {name: tags for name, tags in asked.items() if tags}


def _has_tags(row: Row, asked: Mapping[str, set[str]]) -> bool:
    own = row.get("tags")
    mine = set(map(str, own)) if isinstance(own, list) else set()
    for name, tags in asked.items():
        is_so = bool(tags & mine) if name.endswith("-any") else tags <= mine
        if is_so is name.startswith("not-"):
            return False
    return True


def _sorted(rows: list[Row], query: Sequence[tuple[str, str]], known: Collection[str]) -> list[Row]:
    for name, downwards in reversed(_order(query, known)):
        if name not in known:
            raise Fault(400, f"Supplied sort key '{name[:MAX_SHOWN]}' is not valid.")
        rows = sorted(rows, key=cmp_to_key(_Compare(name)), reverse=downwards)
    return rows


def _order(query: Sequence[tuple[str, str]], known: Collection[str]) -> list[tuple[str, bool]]:
    """The fields to sort by, each with whether it goes downwards."""
    written = [one for value in _all(query, "sort") for one in value.split(",") if one]
    asked = [
        (name, direction or "asc") for name, _, direction in (one.partition(":") for one in written)
    ]
    keys, directions = _all(query, "sort_key"), _all(query, "sort_dir")
    asked += [(key, directions[i] if i < len(directions) else "asc") for i, key in enumerate(keys)]
    for _, direction in asked:
        if direction not in {"asc", "desc"}:
            raise Fault(400, f"Supplied sort direction '{direction[:MAX_SHOWN]}' is not valid.")
    order = [(name, direction == "desc") for name, direction in asked]
    named = {name for name, _ in order}
    return order + [(name, False) for name in _BY_DEFAULT if name in known and name not in named]


@dataclass(frozen=True, slots=True)
class _Compare:
    """Orders rows by one field; nothing comes first, numbers by size, the rest by its text."""

    name: str

    def __call__(self, one: Row, other: Row) -> int:
        first, second = _rank(one.get(self.name)), _rank(other.get(self.name))
        return (first > second) - (first < second)


def _rank(value: JSON) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return 2, 0.0, str(value)


def _paged(rows: list[Row], query: Sequence[tuple[str, str]], url: str) -> Page:
    limit, marker = _limit(_last(query, "limit")), _last(query, "marker")
    backwards = (_last(query, "page_reverse") or "").lower() in {"true", "1", "yes", "t"}
    start, end = 0, len(rows)
    if marker is not None:
        places = [place for place, row in enumerate(rows) if row.get("id") == marker]
        if not places:
            raise Fault(400, f"Supplied pagination marker '{marker[:MAX_SHOWN]}' is not valid.")
        start, end = (0, places[0]) if backwards else (places[0] + 1, len(rows))
    page = rows[max(end - limit, start) : end] if backwards else rows[start : start + limit]
    if not page:
        return Page([], [])
    kept = [(name, value) for name, value in query if name not in {"marker", "page_reverse"}]
    links = []
    is_full = len(page) == limit
    if marker is not None if not backwards else is_full:
        links.append(_link(url, kept, page[0], "previous"))
    if is_full if not backwards else marker is not None:
        links.append(_link(url, kept, page[-1], "next"))
    return Page([*page], links)


def _link(url: str, query: Sequence[tuple[str, str]], row: Row, rel: str) -> dict[str, str]:
    more = [("marker", str(row["id"])), *([("page_reverse", "True")] if rel == "previous" else [])]
    return {"href": f"{url}?{urlencode([*query, *more])}", "rel": rel}


def _limit(text: str | None) -> int:
    if text is None or text == "infinite":
        return MAX_LIMIT
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text, re.ASCII):
        raise Fault(400, f"Supplied pagination limit '{text[:MAX_SHOWN]}' is not valid.")
    asked = int(text)
    return min(asked, MAX_LIMIT) if asked > 0 else MAX_LIMIT


def _with_fields(row: Row, query: Sequence[tuple[str, str]]) -> Row:
    wanted = _all(query, "fields")
    return {name: value for name, value in row.items() if name in wanted} if wanted else row
