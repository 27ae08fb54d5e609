"""Writes the JSON Schema of the configuration: `python -m ipvs_lb.config.schema [FILE]`.

A program only; the package's function `schema` gives the schema itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ipvs_lb.config.json_schema import text

if __name__ == "__main__":
    Path(*(sys.argv[1:2] or ["config/schema.json"])).write_text(text())
