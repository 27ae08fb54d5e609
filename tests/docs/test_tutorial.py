"""docs/tutorial.md, typed by a newcomer from its first line to its last."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.readme import ROOT, blocks

PAGE = ROOT / "docs" / "tutorial.md"
_NUMBER = re.compile(r"\d+(\.\d+)?")
_FOLDER = re.compile(r"/\S*ipvs-lb-\w+/")


def masked(text):
    """*text* without what is another one every time: numbers, and blanks around them."""
    return " ".join(_NUMBER.sub("N", _FOLDER.sub("/", text)).split())


@pytest.mark.timeout(240)
def test_the_tutorial_goes_as_it_says(tmp_path):
    config, scenario = (
        next(block.text for block in blocks(PAGE) if beginning in block.text)
        for beginning in ("services:", "steps:")
    )
    (tmp_path / "lb.yaml").write_text(config)
    (tmp_path / "failover.yaml").write_text(scenario)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "IPVS_LB_LAB": f"tutorial-{os.getpid()}"}
    said, answers = "", []
    try:
        for block in blocks(PAGE):
            if block.language == "sh":
                for line in block.lines:
                    done = subprocess.run(
                        ["bash", "-c", line],
                        cwd=tmp_path,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        text=True,
                        timeout=120,
                        check=False,
                    )
                    assert done.returncode == 0, (line, done.stdout, done.stderr)
                    said = done.stdout
                    if "curl" in line:
                        answers.append(said.strip())
            elif (
                block.language == "text"
                and "ipvs-lb plan" not in block.text
                and "steps:" not in block.text
            ):
                shown = [masked(line) for line in block.lines]
                assert [line for line in shown if line not in masked(said)] == []
    finally:
        subprocess.run(["ipvs-lb", "lab", "down"], env=environment, check=False)
    assert set(answers[:2]) == {"web-1", "web-2"}
    assert answers[2:] == ["web-2"]
