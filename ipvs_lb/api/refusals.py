"""Every answer other than success, made in this one place.

400  what came is not JSON, or no HTTP that makes sense      409  it exists, but cannot follow
401  no word of who asks, on TCP with a token                413  more than is ever needed
403  the token is a read-only one                            415  not said to be JSON
404  there is no such server, service or path                422  understood, and not acceptable
405  another method is for that path                         431  a request's line and headers are too long
408  the request did not come to its end in time             500  a fault of the daemon
                                                             503  the kernel, or a place, is not available
"""

from __future__ import annotations

import http
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from ipvs_lb.errors import ConfigError, KernelError, LBError, UsageError
from ipvs_lb.serial import JSON

MAX_PROBLEMS = 100
_BODY_LEFT = frozenset({408, 413})
"""The rest of the body is not waited for."""


_WORDS = {"string_pattern_mismatch": "expected printable characters on one line"}
"""What pydantic says in words of regular expressions."""


class RefusalError(LBError):
    """A request that is answered with *status* and changes nothing; each of *problems* is one line."""

    def __init__(
        self, status: int, message: str, *, hint: str | None = None, problems: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.problems = tuple(problems)


def invalid(status: int, what: str, error: ValidationError) -> RefusalError:
    """The refusal of something that pydantic found wrong, every problem with its place."""
    problems = [_problem(one) for one in error.errors(include_url=False, include_context=False)]
    return RefusalError(status, f"{what}: {problems[0]}", problems=problems)


def _problem(details: ErrorDetails) -> str:
    place = ".".join(map(str, details["loc"]))
    message = _WORDS.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    said = message[:1].lower() + message[1:]
    return f"{place}: {said}" if place else said


async def answer(_request: Request, error: Exception) -> JSONResponse:
    """The answer for an LBError or what Starlette found wrong; a bug is answered without its details."""
    headers = None
    if isinstance(error, HTTPException):
        phrase = http.HTTPStatus(error.status_code).phrase
        status, headers = error.status_code, error.headers
        error = RefusalError(status, error.detail or phrase)
    elif isinstance(error, LBError):
        status = _status(error)
        headers = {"connection": "close"} if status in _BODY_LEFT else None
    else:
        status = 500
        error = LBError("a fault of ipvs-lb; its log has the details")
    return JSONResponse({"error": problem_to_json(error)}, status, headers=headers)


def bare_answer(error: RefusalError) -> bytes:
    """The whole answer to what could not even be read as a request."""
    body = to_json({"error": problem_to_json(error)})
    phrase = http.HTTPStatus(error.status).phrase
    head = (
        f"HTTP/1.1 {error.status} {phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def problem_to_json(error: LBError) -> dict[str, JSON]:
    """*error* as the API tells it."""
    problems = error.problems if isinstance(error, ConfigError | RefusalError) else ()
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "hint": error.hint,
        "problems": [*problems[:MAX_PROBLEMS]],
    }


def _status(error: LBError) -> int:
    match error:
        case RefusalError():
            return error.status
        case ConfigError():
            return 422
        case UsageError():
            return 404
        case KernelError():
            return 503
        case _:
            return 500
