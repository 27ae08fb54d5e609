"""Forms of hooks to the hooks they mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from ipvs_lb.config.hook_forms import MAX_HOOKS, HookExecForm, HookForm, WebhookForm
from ipvs_lb.config.problems import Problems, Unknown, alternatives, quoted
from ipvs_lb.config.tree import Spot
from ipvs_lb.model.event import EVENTS, HOOKABLE
from ipvs_lb.model.hooks import Action, Exec, Hook, Webhook


def hooks_of(
    forms: Sequence[HookForm], spot: Spot, services: Collection[str], problems: Problems
) -> tuple[Hook, ...]:
    """The hooks at *spot*, in a configuration with *services* of these names."""
    if len(forms) > MAX_HOOKS:
        spot.note(problems, f"at most {MAX_HOOKS} hooks, found {len(forms)}")
    first: dict[str, Spot] = {}
    for index, form in enumerate(forms):
        here = spot.at(index)
        other = first.setdefault(form.name, here)
        if other is not here:
            what = f"another hook is called {quoted(form.name)} at {other.place()}"
            here.at("name").note(problems, what)
    found = (_hook(form, spot.at(at), services, problems) for at, form in enumerate(forms))
    return tuple(hook for hook in found if hook is not None)


def _hook(form: HookForm, spot: Spot, services: Collection[str], problems: Problems) -> Hook | None:
    action = _action(form, spot, problems)
    if action is None:
        return None
    events, about = spot.at("events"), spot.at("services")
    named = frozenset(_matching(form.services, services, "service", about, problems))
    return Hook(
        name=form.name,
        action=action,
        events=frozenset(_matching(form.events, HOOKABLE, "event", events, problems)),
        services=named if form.services else None,
        level=form.level,
        window=form.window,
    )


def _action(form: HookForm, spot: Spot, problems: Problems) -> Action | None:
    if form.webhook is not None and form.exec is not None:
        spot.at("exec").note(problems, "either webhook or exec, not both", at_key=True)
        return None
    if form.webhook is not None:
        return _webhook(form.webhook, spot.at("webhook"), problems)
    if form.exec is not None:
        return _exec(form.exec, spot.at("exec"), problems)
    spot.note(problems, "a hook needs a webhook or an exec")
    return None


def _webhook(form: WebhookForm, spot: Spot, problems: Problems) -> Webhook:
    headers = dict(form.headers)
    if form.token is not None:
        if any(name.lower() == "authorization" for name in headers):
            what = "either a token or an Authorization header, not both"
            spot.at("token").note(problems, what, at_key=True)
        headers["Authorization"] = f"Bearer {form.token}"
    return Webhook(
        url=form.url,
        timeout=form.timeout,
        attempts=form.attempts,
        headers=tuple(headers.items()),
        ca_file=form.ca_file,
    )


def _exec(form: HookExecForm, spot: Spot, problems: Problems) -> Exec:
    if not form.command[0].startswith("/"):
        _note(spot.at("command", 0), "expected the absolute path of a program", problems)
    if form.user == "root":
        spot.at("user").note(problems, "a hook's program does not run as root")
    return Exec(command=tuple(form.command), user=form.user, timeout=form.timeout)


def _matching(
    patterns: Sequence[str], known: Collection[str], kind: str, spot: Spot, problems: Problems
) -> Iterator[str]:
    """The *known* names that *patterns* stand for; a pattern that stands for none is a problem."""
    for index, pattern in enumerate(patterns):
        found = _standing_for(pattern, known)
        if not found and not (pattern == "*" and kind == "service"):
            _note(spot.at(index), _nothing(pattern, known, kind), problems)
        yield from found


def _note(spot: Spot, what: object, problems: Problems) -> None:
    """Add a problem with an item of a list, or with the item that stands there alone."""
    path, place = spot.tree.find(spot.path)
    problems.add(place, path, what)


def _standing_for(pattern: str, known: Collection[str]) -> list[str]:
    if "*" not in pattern:
        return [pattern] if pattern in known else []
    only_stars = pattern.replace("[", "[[]").replace("?", "[?]")  # a name may hold brackets
    return [name for name in known if fnmatchcase(name, only_stars)]


def _nothing(pattern: str, known: Collection[str], kind: str) -> object:
    if kind == "service":
        what = f"unknown service {quoted(pattern)}"
        return Unknown(what, pattern, known) if known else f"{what}, there are no services"
    if pattern in EVENTS:
        return f"hooks are not told of {pattern}: one that fails would feed itself"
    return f"unknown event {quoted(pattern)}, expected {alternatives(known)}"
