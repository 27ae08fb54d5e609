"""The documentation as a site: it builds, has every page, and fetches nothing from elsewhere."""

import json
import re
import subprocess

import pytest
import yaml

from tests.docs.readme import ROOT, blocks

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "config" / "README.md"])
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\" >]+)"
)


def pages_in(nav):
    if isinstance(nav, str):
        yield nav
        return
    for one in nav.values() if isinstance(nav, dict) else nav:
        yield from pages_in(one)


def test_every_page_is_in_the_navigation_once():
    listed = [*pages_in(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])]
    assert sorted(listed) == [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.timeout(180)
def test_the_site_builds_without_a_broken_link_and_fetches_nothing_from_elsewhere():
    done = subprocess.run(
        ["scripts/docs"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = [*(ROOT / "build" / "site").rglob("*.html")]
    assert len(built) > len(PAGES)
    foreign = {link for page in built for link in _FETCHED.findall(page.read_text("utf-8"))}
    assert foreign == set()


EXAMPLES = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if block.language == "json"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_json_that_a_page_shows_is_json(text):
    json.loads(text)
