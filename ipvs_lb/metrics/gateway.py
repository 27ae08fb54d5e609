"""Series of the gateway as a whole."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator

from ipvs_lb import __version__
from ipvs_lb.metrics import families as f
from ipvs_lb.metrics.reading import Reading
from ipvs_lb.overrides import Action

PASSED = "passed"


def build_info(_: Reading) -> Iterator[str]:
    """What runs."""
    yield f.BUILD_INFO.line(1, __version__, platform.python_version())


def kernel_up(reading: Reading) -> Iterator[str]:
    """Whether it could be asked, just now and the last time."""
    answers = reading.statistics is not None and reading.snapshot.kernel_error is None
    yield f.KERNEL_UP.line(int(answers))


def kernel_failures(reading: Reading) -> Iterator[str]:
    """What could not be written or read."""
    yield f.KERNEL_FAILURES.line(reading.snapshot.activity.kernel_failures)


def host_failures(reading: Reading) -> Iterator[str]:
    """The same around the table."""
    yield f.HOST_FAILURES.line(reading.snapshot.activity.host_failures)


def reconcile_duration(reading: Reading) -> Iterator[str]:
    """Times of comparisons."""
    counted = reading.snapshot.activity.comparisons
    if counted is not None:
        yield from f.RECONCILE_DURATION.histogram(counted)


def reconcile_last(reading: Reading) -> Iterator[str]:
    """The last comparison."""
    yield f.RECONCILE_LAST.line(reading.snapshot.reconciled or 0)


def reconcile_interval(reading: Reading) -> Iterator[str]:
    """Pauses between two of them."""
    yield f.RECONCILE_INTERVAL.line(reading.snapshot.config.daemon.reconcile_interval)


def plan_commands(reading: Reading) -> Iterator[str]:
    """Sizes of changes."""
    yield from f.PLAN_COMMANDS.histogram(reading.counts.plans.so_far())


def drift(reading: Reading) -> Iterator[str]:
    """What others changed."""
    for action in ("repaired", "reported"):
        yield f.DRIFT.line(reading.counts.times(f"drift.{action}"), action)


def config_generation(reading: Reading) -> Iterator[str]:
    """Which configuration."""
    generation = reading.snapshot.generation
    yield f.CONFIG_GENERATION.line(0 if generation is None else generation.number)


def config_reloads(reading: Reading) -> Iterator[str]:
    """How reloads ended."""
    for outcome in ("loaded", "refused"):
        yield f.CONFIG_RELOADS.line(reading.counts.times(f"config.{outcome}"), outcome)


def config_successful(reading: Reading) -> Iterator[str]:
    """How the last one ended."""
    yield f.CONFIG_SUCCESSFUL.line(int(not reading.snapshot.config_error))


def config_loaded(reading: Reading) -> Iterator[str]:
    """When."""
    loaded = reading.counts.loaded
    yield f.CONFIG_LOADED.line(reading.snapshot.started if loaded is None else loaded)


def probes(reading: Reading) -> Iterator[str]:
    """How many checks are carried out."""
    yield f.PROBES.line(len(reading.snapshot.probes))


def probe_users(reading: Reading) -> Iterator[str]:
    """And how many they stand for."""
    users = 0
    for layout in reading.snapshot.layouts.values():
        users += sum([len(seat.probes) for seat in layout.seats if not seat.server.disabled])
        yield ""
    yield f.PROBE_USERS.line(users)


def probe_duration(reading: Reading) -> Iterator[str]:
    """Times of checks."""
    for check, activity in sorted(reading.snapshot.activity.probes.items()):
        yield from f.PROBE_DURATION.histogram(activity.durations, check)


def probe_results(reading: Reading) -> Iterator[str]:
    """What came of them."""
    for check, activity in sorted(reading.snapshot.activity.probes.items()):
        for error, number in activity.results.items():
            yield f.PROBE_RESULTS.line(number, check, PASSED if error is None else str(error))


def overrides(reading: Reading) -> Iterator[str]:
    """Orders in force."""
    now = reading.snapshot.at
    standing = Counter(
        one.action for one in reading.snapshot.overrides.values() if one.is_in_force(now)
    )
    for action in Action:
        yield f.OVERRIDES.line(standing[action], str(action))


def events(reading: Reading) -> Iterator[str]:
    """What happened."""
    for (name, level), number in sorted(reading.counts.events.items()):
        yield f.EVENTS.line(number, name, str(level))


def hook_drops(reading: Reading) -> Iterator[str]:
    """Events that were too many, of every hook there is."""
    for hook in reading.snapshot.config.hooks:
        yield f.HOOK_DROPS.line(reading.counts.hook_drops[hook.name], hook.name)


def hook_failures(reading: Reading) -> Iterator[str]:
    """Calls that did not get through, of every hook there is."""
    for hook in reading.snapshot.config.hooks:
        yield f.HOOK_FAILURES.line(reading.counts.hook_failures[hook.name], hook.name)


def api_requests(reading: Reading) -> Iterator[str]:
    """What was asked."""
    for request, number in sorted(reading.requests.items()):
        yield f.API_REQUESTS.line(number, *request)


def api_refused(reading: Reading) -> Iterator[str]:
    """Who did not come so far."""
    for refused, number in sorted(reading.refused.items()):
        yield f.API_REFUSED.line(number, *refused)


def vip_up(reading: Reading) -> Iterator[str]:
    """Which VIPs are withdrawn."""
    for address, ruling in reading.snapshot.decision.vips.items():
        yield f.VIP_UP.line(int(ruling.is_up), str(address))


def process_start(reading: Reading) -> Iterator[str]:
    """Since when."""
    yield f.PROCESS_START.line(reading.snapshot.started)
