"""What came with a request, checked: bodies bounded in bytes and time, queries, and nothing unknown in either."""

from __future__ import annotations

import asyncio
import json
from typing import TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from ipvs_lb.api.refusals import RefusalError, invalid

MAX_BODY = 512 * 1024
"""Bytes: a thousand patterns of the greatest length fit."""

BODY_TIME = 5.0
"""Seconds until a body has to be there as a whole."""

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M]) -> M:
    """The body as *model*. Raises RefusalError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusalError(
            415, "expected a JSON body", hint="send it with Content-Type: application/json"
        )
    value = _decoded(await read_bytes(request, MAX_BODY))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(422, "the body is refused", error) from error


async def read_bytes(request: Request, most: int) -> bytes:
    """The body, of at most *most* bytes. Raises RefusalError."""
    if _announced(request) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        raise RefusalError(408, f"the body was not complete after {BODY_TIME:g} s") from None
    except ClientDisconnect:
        raise RefusalError(400, "the body was cut off") from None
    return bytes(body)


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_large(most: int) -> RefusalError:
    return RefusalError(413, f"the body is larger than {most} bytes")


def _decoded(body: bytes) -> object:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise RefusalError(400, f"the body is not JSON: {problem}") from None
    return value


def read_query(request: Request, model: type[M]) -> M:
    """The query as *model*. Raises RefusalError."""
    given = request.query_params
    value = {name: given.getlist(name) if _is_list(model, name) else given[name] for name in given}
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(422, "the query is refused", error) from error


def _is_list(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and get_origin(field.annotation) is list
