"""The configuration: YAML files to the model and back, and what editors and readers need to know about them."""

from ipvs_lb.config.again import Loader
from ipvs_lb.config.json_schema import schema
from ipvs_lb.config.loader import load, loads
from ipvs_lb.config.render import render
from ipvs_lb.config.render_draft import Refused, Rendered, render_draft

__all__ = ["Loader", "Refused", "Rendered", "load", "loads", "render", "render_draft", "schema"]
