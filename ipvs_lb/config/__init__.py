"""The configuration: YAML files to the model and back, and what editors and readers need to know about them."""

from ipvs_lb.config.again import Loader
from ipvs_lb.config.json_schema import schema
from ipvs_lb.config.loader import load, loads
from ipvs_lb.config.render import render

__all__ = ["Loader", "load", "loads", "render", "schema"]
