"""The documentation as a site: it builds, has every page, and fetches nothing from elsewhere."""

import json
import re
import shutil
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


@pytest.mark.timeout(180)
@pytest.mark.parametrize("link", ["nowhere.md", "how-to/lab.md#nowhere"], ids=["page", "anchor"])
def test_a_link_that_leads_nowhere_fails_the_build_and_is_named(tmp_path, link):
    """In a copy of what the site is made from, with this environment."""
    for folder in ("scripts", "config", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for path in (*ROOT.glob("*.*"), ROOT / "LICENSE"):
        if path.is_file():
            shutil.copy(path, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    page = tmp_path / "docs" / "tutorial.md"
    page.write_text(f"{page.read_text('utf-8')}\n[Somewhere]({link})\n", "utf-8")
    done = subprocess.run(
        [tmp_path / "scripts" / "docs"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode != 0
    assert f"'{link}'" in done.stderr


EXAMPLES = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if block.language == "json"
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_json_that_a_page_shows_is_json(text):
    json.loads(text)
