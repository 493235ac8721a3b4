"""The gateway over HTTP (FastAPI): records go in with PUT, or in parts with PATCH; versions come out with GET.

Parts follow the IETF's resumable uploads (draft-ietf-httpbis-resumable-upload): HEAD says `Upload-Offset`, PATCH goes
on there, `Upload-Complete: ?1` ends it. The record's address is the upload's, so a device needs to remember nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from tierflow.errors import ClientRefused, TierflowError
from tierflow.exchange.gateway.desk import Desk
from tierflow.exchange.gateway.parts import Part
from tierflow.exchange.gateway.quota import Client
from tierflow.exchange.gateway.wire import ARROW, JSON

__all__ = ["app"]

PATIENCE, SLOWEST = 10.0, 100.0
"""A body may take so many seconds, and the time that its bytes take at so many bytes per second."""
_GO_ON = "go on from the offset that is here"
_RECORD = "/v1/outboxes/{box}/{key}"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def app(desk: Desk, patience: float = PATIENCE) -> FastAPI:
    """The application: what it answers is what `desk` says."""
    made, site = FastAPI(openapi_url=None), _Site(desk, patience)
    made.add_exception_handler(TierflowError, site.refuse)
    made.add_exception_handler(HTTPException, _no_such)
    made.add_exception_handler(Exception, site.refuse)
    made.put(_RECORD)(site.put)
    made.patch(_RECORD)(site.patch)
    made.head(_RECORD)(site.head)
    made.delete(_RECORD)(site.delete)
    made.api_route("/v1/versions/{name}", methods=["GET", "HEAD"])(site.version)
    return made


class _Site:
    """What is at each address."""

    def __init__(self, desk: Desk, patience: float) -> None:
        self._desk, self._patience = desk, patience

    async def put(self, request: Request) -> Response:
        """A whole record."""
        client = await self._client(request)
        _must_be_table(request)
        return await self._taken(request, client, None, complete=True)

    async def patch(self, request: Request) -> Response:
        """A part of a record."""
        client = await self._client(request)
        offset, complete = _whole(request, "upload-offset"), request.headers.get("upload-complete")
        if offset is None or complete not in ("?0", "?1"):
            raise ClientRefused("malformed", "a part needs Upload-Offset and Upload-Complete (?0 or ?1)", "send both")
        return await self._taken(request, client, offset, complete=complete == "?1")

    async def head(self, request: Request) -> Response:
        """How much of a record is there."""
        client = await self._client(request)
        return Response(headers=_progress(await asyncio.to_thread(self._desk.offset, client, *_place(request))))

    async def delete(self, request: Request) -> Response:
        """An upload is given up."""
        client, place = await self._client(request), _place(request)
        offset = await asyncio.to_thread(self._desk.offset, client, *place)
        part = await asyncio.to_thread(self._desk.begin, client, *place, offset)
        await asyncio.to_thread(part.forget)
        return Response(status_code=204)

    async def version(self, request: Request) -> Response:
        """The newest version of a name, or some of its bytes."""
        await self._client(request)
        found = await asyncio.to_thread(self._desk.newest, request.path_params["name"])
        tag = f'"{found.tag}"'
        headers = {"etag": tag, "accept-ranges": "bytes", "tierflow-version": str(found.number)}
        if tag in [word.strip() for word in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        asked = _asked(request, found.size, tag)
        first, end = asked or (0, found.size)
        headers |= {"content-length": str(end - first), "content-type": found.media}
        if asked:
            headers["content-range"] = f"bytes {first}-{end - 1}/{found.size}"
        status = 206 if asked else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return StreamingResponse(found.bytes(first, end), status, headers)

    async def refuse(self, _: Request, error: Exception) -> Response:
        """An error, as the client sees it."""
        said = self._desk.refusal(error)
        headers: dict[str, str] = {}
        if said.after:
            headers["retry-after"] = str(max(round(said.after), 1))
        if said.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        if isinstance(error, ClientRefused) and error.offset is not None:
            headers |= _progress(error.offset)
        return JSONResponse(_body(said.sentence), said.status, headers)

    async def _client(self, request: Request) -> Client:
        return await asyncio.to_thread(self._desk.admit, request.headers.get("authorization", ""))

    async def _taken(self, request: Request, client: Client, offset: int | None, *, complete: bool) -> Response:
        """A body is added to what is there from `offset` on (None: to nothing); with `complete` that is the record."""
        priority, place = _priority(request), _place(request)
        length = _whole(request, "content-length")
        part = await asyncio.to_thread(self._desk.begin, client, *place, offset, length)
        await self._read(request, client, part)
        if not complete:
            return Response(status_code=204, headers=_progress(part.size))
        receipt = await asyncio.to_thread(self._desk.end, client, *place, part, priority)
        return JSONResponse({"seq": receipt.seq, "again": receipt.again}, 200 if receipt.again else 201)

    async def _read(self, request: Request, client: Client, part: Part) -> None:
        """All of the body, to the disk as it comes."""
        loop, got = asyncio.get_running_loop(), 0
        began = loop.time()
        while True:
            left = began + self._patience + got / SLOWEST - loop.time()
            try:
                message = await asyncio.wait_for(request.receive(), max(left, 0))
            except TimeoutError:
                raise ClientRefused("slow", "the body comes too slowly", _GO_ON) from None
            if message["type"] != "http.request":
                raise ClientRefused("slow", "the connection was broken off", _GO_ON)
            if message.get("body"):
                got += len(message["body"])
                await asyncio.to_thread(self._desk.add, client, part, message["body"])
            if not message.get("more_body"):
                return


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["box"], request.path_params["key"]


def _progress(offset: int) -> dict[str, str]:
    return {"upload-offset": str(offset), "upload-complete": "?0", "cache-control": "no-store"}


def _whole(request: Request, name: str) -> int | None:
    """A header that is a number; None where it is not there. Raises `ClientRefused`."""
    said = request.headers.get(name)
    if said is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", said):
        raise ClientRefused("malformed", f"{name} is not a number", "send a number of bytes")
    return int(said)


def _priority(request: Request) -> int:
    said = request.query_params.get("priority", "0")
    if not re.fullmatch(r"-?[0-9]{1,3}", said):
        raise ClientRefused("malformed", "the priority is not a number from -999 to 999", "send one")
    return int(said)


def _must_be_table(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in (ARROW, JSON) or request.headers.get("content-encoding", "identity") != "identity":
        raise ClientRefused("kind", "a body is an Arrow stream or rows of JSON, not encoded", f"send {ARROW} or {JSON}")


def _asked(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """First byte and end of what is asked for; None for all. Raises `ClientRefused`."""
    said = request.headers.get("range")
    if said is None or request.headers.get("if-range", tag) != tag:
        return None
    found = _RANGE.fullmatch(said)
    if found is None or not any(found.groups()):
        return None  # RFC 9110: a range that is not understood is passed over
    first, last = found.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise ClientRefused("range", f"there are {size} bytes", "ask for some of them")
    return start, end


async def _no_such(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allowed: Mapping[str, str] = error.headers or {}
    return JSONResponse(_body("there is nothing at this address for this method"), error.status_code, dict(allowed))


def _body(sentence: str) -> dict[str, Any]:
    return {"error": sentence}
