"""The page's HTTP interface as an ASGI application; docs/page.md lists what it answers."""

import asyncio
import re
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

import mri_tf
from mri_tf.page.bodies import drain, read_body
from mri_tf.page.catalogue import Catalogue
from mri_tf.page.guard import ABOUT, CLOSE, HEADERS, OF_CARD, Guard
from mri_tf.page.jobs import Jobs
from mri_tf.page.limits import MB, Limits
from mri_tf.page.refused import Refused, unknown
from mri_tf.page.sessions import Sessions
from mri_tf.page.static_files import INDEX, static_file
from mri_tf.page.study_requests import StudyRequests

PAGE_FAILED = (
    "The page failed ({}). Try again. Download your labels before you reload the page: reloading "
    "deletes this study and its labels."
)
SWEEP_S = 1.0  # between looks for silent sessions
TOKEN_BYTES = 200  # of a session, in the body that closes it
Handler = Callable[..., Awaitable[Response]]


class PageApp:
    """Answers the page's requests.

    Args:
        models: folder of the exported models.
        limits: of everything.
        guard: who may ask.
        sessions: of the tabs.
        jobs: the queue of studies.
        keep: folder for what users ask to keep; None: nothing is kept.
    """

    def __init__(
        self, models: Path, limits: Limits, guard: Guard, sessions: Sessions, jobs: Jobs,
        keep: Path | None = None,
    ):  # fmt: skip
        self._catalogue, self._limits, self._guard = Catalogue(models), limits, guard
        self._sessions, self._keep = sessions, keep
        studies = StudyRequests(self._catalogue, sessions, jobs, limits, keep)
        routes = (
            ("GET", r"/", self._index),
            ("GET", r"/static/(.+)", self._static),
            ("GET", ABOUT, self._about),
            ("POST", r"/api/session", self._open_session),
            ("POST", r"/api/session/alive", self._alive),
            ("POST", CLOSE, self._close_session),
            ("GET", r"/api/models", self._models),
            ("GET", r"/api/models/([\w.-]{1,100})/card", self._card),
            *studies.routes,
        )
        self._routes = [(method, re.compile(path), handler) for method, path, handler in routes]

    async def sweep(self) -> None:
        """Ends silent sessions until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self._sessions.end_silent()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            # So that a browser that does not read its answer cannot hold a connection for ever.
            async with asyncio.timeout(self._limits.timeout_s):
                await response(scope, receive, send)
        except (ClientDisconnect, TimeoutError):
            return

    async def _respond(self, request: Request) -> Response:
        try:
            self._guard.check(request)
            handler, values = self._handler(request)
            return await handler(request, *values)
        except Refused as error:
            await drain(request, self._limits)
            return JSONResponse({"error": error.sentence}, error.status, error.headers)
        except ClientDisconnect:
            raise
        except Exception as error:  # its text may name a patient or a path
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            print(f"page: unexpected {type(error).__name__} at {where}", file=sys.stderr, flush=True)
            return JSONResponse({"error": PAGE_FAILED.format(type(error).__name__)}, 500)

    def _handler(self, request: Request) -> tuple[Handler, tuple[str, ...]]:
        """Raises Refused: 404 for an unknown path, 405 for another method."""
        path, methods = request.url.path, []
        for method, pattern, handler in self._routes:
            if found := pattern.fullmatch(path):
                if request.method == method:
                    return handler, found.groups()
                methods.append(method)
        if not methods:
            raise Refused(404, "There is nothing at this address.", path[:80], "Open the page itself.")
        error = Refused(405, "This address does not take requests of this method.", request.method[:10],
                        f"Use {', '.join(methods)}.")  # fmt: skip
        error.headers["allow"] = ", ".join(methods)
        raise error

    async def _index(self, request: Request) -> Response:
        return static_file(request, INDEX)

    async def _static(self, request: Request, name: str) -> Response:
        return static_file(request, name)

    async def _about(self, request: Request) -> Response:
        limits = self._limits
        return JSONResponse({
            "version": mri_tf.__version__, "needs_token": bool(self._guard.token),
            "limits": {"file_mb": limits.file_bytes // MB, "study_mb": limits.study_bytes // MB,
                       "files": limits.files, "seconds": limits.case_s, "uploads": limits.uploads},
            "heartbeat_s": limits.heartbeat_s, "silence_s": limits.silence_s,
            "keep": self._keep is not None,
        })  # fmt: skip

    async def _open_session(self, request: Request) -> Response:
        return JSONResponse({"session": self._sessions.create()}, 201)

    async def _alive(self, request: Request) -> Response:
        self._sessions.get(request.headers.get("x-session"))
        return Response(status_code=204)

    async def _close_session(self, request: Request) -> Response:
        token = await read_body(request, TOKEN_BYTES, self._limits)
        await self._sessions.close(token.decode("utf-8", "replace").strip())
        return Response(status_code=204)

    async def _models(self, request: Request) -> Response:
        self._sessions.get(request.headers.get("x-session"))
        served = await asyncio.to_thread(self._catalogue.models)
        return JSONResponse({"models": [one.about for one in served]})

    async def _card(self, request: Request, name: str) -> Response:
        self._sessions.get(request.headers.get("x-session") or request.query_params.get("session"))
        served = self._catalogue.find(name)
        if served is None or not served.card.is_file():
            raise unknown("card")
        headers = {"content-security-policy": OF_CARD}
        return FileResponse(served.card, media_type="text/html; charset=utf-8", headers=headers)
