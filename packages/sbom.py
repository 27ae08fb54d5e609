"""What is in a folder of installed packages, as a CycloneDX document: `python packages/sbom.py FOLDER`."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROGRAM = "ipvs-lb"


def name_of(package: Distribution) -> str:
    """The name by which indexes know it."""
    return str(canonicalize_name(package.metadata["Name"]))


def purl(package: Distribution) -> str:
    """The package URL: what names it in lists of vulnerabilities."""
    return f"pkg:pypi/{name_of(package)}@{package.version}"


def licenses(package: Distribution) -> list[dict[str, object]]:
    """The licence as the package says it: an expression, else its classifiers or its name."""
    fields = package.metadata
    if "License-Expression" in fields:
        return [{"expression": fields["License-Expression"]}]
    named = [
        c.split(" :: ")[-1] for c in fields.get_all("Classifier", ()) if c.startswith("License :: ")
    ]
    if not named and "License" in fields:
        named = fields["License"].splitlines()[:1]
    return [{"license": {"name": name}} for name in named]


def component(package: Distribution) -> dict[str, object]:
    """One package as CycloneDX describes it."""
    return {
        "type": "application" if name_of(package) == PROGRAM else "library",
        "bom-ref": purl(package),
        "name": name_of(package),
        "version": package.version,
        "purl": purl(package),
        "licenses": licenses(package),
    }


def needs(package: Distribution, references: dict[str, str]) -> dict[str, object]:
    """Which of the packages that are there this one asks for."""
    asked = (Requirement(line) for line in package.requires or ())
    wanted = (r for r in asked if r.marker is None or r.marker.evaluate({"extra": ""}))
    names = {str(canonicalize_name(requirement.name)) for requirement in wanted}
    return {
        "ref": purl(package),
        "dependsOn": sorted(references[name] for name in names if name in references),
    }


def document(found: Iterable[Distribution], *, made: datetime) -> dict[str, object]:
    """The whole document; the same packages and time give the same text."""
    packages = sorted(found, key=name_of)
    references = {name_of(package): purl(package) for package in packages}
    (program,) = (package for package in packages if name_of(package) == PROGRAM)
    everything = " ".join(references.values())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, everything)}",
        "version": 1,
        "metadata": {"timestamp": made.isoformat(), "component": component(program)},
        "components": [component(package) for package in packages if package is not program],
        "dependencies": [needs(package, references) for package in packages],
    }


def main(folder: str) -> None:
    """Write the document of *folder*."""
    made = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    json.dump(document(distributions(path=[folder]), made=made), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
