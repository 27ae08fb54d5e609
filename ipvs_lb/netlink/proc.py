"""The kernel's IPVS table as text, all services of all owners in one read; what other exporters read, too."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path("/proc/thread-self/net")


def read_text(folder: Path = _FOLDER) -> tuple[str, str] | None:
    """`ip_vs` and `ip_vs_stats` of this thread's network namespace; None where there is no IPVS."""
    try:
        return (folder / "ip_vs").read_text("ascii"), (folder / "ip_vs_stats").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
