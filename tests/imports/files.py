"""Files for imports: those of the fixtures, and made up ones."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path

from ipvs_lb.config import loads
from ipvs_lb.imports.convert import Imported, convert
from ipvs_lb.imports.files import Files, read_file
from ipvs_lb.imports.findings import Effect
from ipvs_lb.imports.kinds import Kind
from ipvs_lb.imports.sources import Text
from ipvs_lb.model.config import Config, DeclaredService

FIXTURES = Path(__file__).parent / "fixtures"


class Shelf:
    """Files that only the test knows, by name."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find(self, pattern: str, folder: str) -> list[Text]:
        found = sorted(fnmatch.filter(self._texts, pattern))
        return [Text(name, folder, self._texts[name]) for name in found]


def imported(text: str, kind: Kind = Kind.KEEPALIVED, **others: str) -> Imported:
    """The import of *text*, which is called x; the *others* can be included, as NAME.conf."""
    shelf = Shelf({f"{name}.conf": other for name, other in others.items()})
    return convert(Text("x", "/here", text), kind, source=shelf, config_id="main")


def fixture(name: str, kind: Kind) -> Imported:
    """The import of a file of the fixtures."""
    return convert(read_file(FIXTURES / name), kind, source=Files(), config_id="main")


def config(found: Imported) -> Config:
    """What the written configuration declares."""
    return loads(found.text)


def only(found: Imported) -> DeclaredService:
    """The one service of *found*."""
    (service,) = config(found).services
    return service


def told(found: Imported, *effects: Effect) -> list[str]:
    """The findings with one of *effects*, each as `LINE: what: why`."""
    wanted = effects or (Effect.LEFT_OUT,)
    return [
        f"{one.mark.line}: {one.what}: {one.why}" for one in found.findings if one.effect in wanted
    ]
