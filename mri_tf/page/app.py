"""The page's HTTP interface as an ASGI application; docs/page.md lists what it answers."""

import asyncio
import json
import re
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response

import mri_tf
from mri_tf.page.catalogue import Catalogue
from mri_tf.page.guard import ABOUT, CLOSE, HEADERS, OF_CARD, Guard
from mri_tf.page.jobs import Jobs
from mri_tf.page.keep import keep_study
from mri_tf.page.limits import Limits
from mri_tf.page.readings import Readings, agreement
from mri_tf.page.refused import Refused, unknown
from mri_tf.page.sessions import DONE, FAILED, UPLOADING, Session, Sessions, Study
from mri_tf.page.shown import case_of, is_answered, study_of
from mri_tf.page.static_files import INDEX, static_file
from mri_tf.page.uploads import Uploads

STUDY, CASE = r"/api/studies/([0-9a-f]{16})", r"/cases/(c[1-9]\d{0,5})"
VOLUME = r"(image|map|labels)\.nii\.gz"
MOST_NAME = 80  # characters of a reader's name
SWEEP_S = 1.0  # between looks for silent sessions
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
        self._sessions, self._jobs, self._keep = sessions, jobs, keep
        self._uploads = Uploads(sessions, limits)
        self._routes: list[tuple[str, re.Pattern, Handler]] = [
            (method, re.compile(path), handler)
            for method, path, handler in (
                ("GET", r"/", self._index),
                ("GET", r"/static/(.+)", self._static),
                ("GET", ABOUT, self._about),
                ("POST", r"/api/session", self._open_session),
                ("POST", r"/api/session/alive", self._alive),
                ("POST", CLOSE, self._close_session),
                ("GET", r"/api/models", self._models),
                ("GET", r"/api/models/([\w.-]{1,100})/card", self._card),
                ("POST", r"/api/studies", self._add_study),
                ("GET", STUDY, self._study),
                ("DELETE", STUDY, self._delete_study),
                ("PUT", STUDY + "/files", self._upload),
                ("POST", STUDY + "/run", self._run),
                ("POST", STUDY + "/keep", self._keep_study),
                ("GET", STUDY + CASE + "/" + VOLUME, self._volume),
                ("PUT", STUDY + CASE + "/reading", self._read),
                ("GET", r"/api/readings\.csv", self._readings),
                ("POST", r"/api/agreement", self._agreement),
            )
        ]

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
            return JSONResponse({"error": error.sentence}, error.status, error.headers)
        except ClientDisconnect:
            raise
        except Exception as error:  # its text may name a patient or a path
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            print(f"page: unexpected {type(error).__name__} at {where}", file=sys.stderr, flush=True)
            return JSONResponse({"error": f"The page failed ({type(error).__name__}). Reload it."}, 500)

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
        error = Refused(405, "This address is asked otherwise.", request.method[:10],
                        f"Use {', '.join(methods)}.")  # fmt: skip
        error.headers["allow"] = ", ".join(methods)
        raise error

    async def _index(self, request: Request) -> Response:
        return static_file(INDEX)

    async def _static(self, request: Request, name: str) -> Response:
        return static_file(name)

    async def _about(self, request: Request) -> Response:
        limits = self._limits
        return JSONResponse({
            "version": mri_tf.__version__, "needs_token": bool(self._guard.token),
            "limits": {"file_mb": limits.file_bytes >> 20, "study_mb": limits.study_bytes >> 20,
                       "files": limits.files, "seconds": limits.case_s, "uploads": limits.uploads},
            "heartbeat_s": limits.heartbeat_s, "silence_s": limits.silence_s,
            "keep": self._keep is not None,
        })  # fmt: skip

    async def _open_session(self, request: Request) -> Response:
        return JSONResponse({"session": self._sessions.create()})

    async def _alive(self, request: Request) -> Response:
        self._session(request)
        return Response(status_code=204)

    async def _close_session(self, request: Request) -> Response:
        token = await self._body(request, 200)
        await self._sessions.close(token.decode("utf-8", "replace").strip())
        return Response(status_code=204)

    async def _models(self, request: Request) -> Response:
        self._session(request)
        served = await asyncio.to_thread(self._catalogue.models)
        return JSONResponse({"models": [one.about for one in served]})

    async def _card(self, request: Request, name: str) -> Response:
        self._sessions.get(request.headers.get("x-session") or request.query_params.get("session"))
        served = self._catalogue.find(name)
        if served is None or not served.card.is_file():
            raise unknown("card")
        headers = {"content-security-policy": OF_CARD}
        return FileResponse(served.card, media_type="text/html; charset=utf-8", headers=headers)

    async def _add_study(self, request: Request) -> Response:
        session, values = self._session(request), await self._json(request)
        served = self._catalogue.find(values.get("model"))
        if served is None:
            raise Refused(400, "There is no such model.", repr(values.get("model"))[:60], "Choose one of the list.")
        readings = None
        if _flag(values, "reading"):
            if not served.classifies:
                raise Refused(400, "Reading mode is for models that classify.", served.name,
                              "Choose another model, or look at the answers at once.")  # fmt: skip
            readings = Readings(_name(values.get("reader", "")))
        study = self._sessions.add(session, served, readings)
        return JSONResponse({"study": study.study_id}, 201)

    async def _study(self, request: Request, study_id: str) -> Response:
        return JSONResponse(study_of(self._session(request).study(study_id)))

    async def _delete_study(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        await self._sessions.remove(session, session.study(study_id))
        return Response(status_code=204)

    async def _upload(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        await self._uploads.receive(request, session, session.study(study_id))
        return Response(status_code=204)

    async def _run(self, request: Request, study_id: str) -> Response:
        session = self._session(request)
        study = session.study(study_id)
        if study.state != UPLOADING or study.uploading:
            raise Refused(409, "The study is already being answered, or its files are still on their way.",
                          study.state, "Wait for it.")  # fmt: skip
        if not study.files:
            raise Refused(400, "The study has no files.", "no upload", "Drop files first.")
        waiting = sum(one.state not in (UPLOADING, DONE, FAILED) for one in session.studies.values())
        if waiting >= self._limits.waiting:
            raise Refused(429, f"At most {self._limits.waiting} studies of a tab can wait.", "one more",
                          "Wait until one is answered.")  # fmt: skip
        self._jobs.add(study)
        return JSONResponse({"state": study.state}, 202)

    async def _keep_study(self, request: Request, study_id: str) -> Response:
        study = self._session(request).study(study_id)
        if self._keep is None:
            raise Refused(404, "Nothing is kept here.", "a page without --keep",
                          "Start the page with --keep DIR.")  # fmt: skip
        if study.state != DONE:
            raise Refused(409, "The study is not answered.", study.state, "Wait until it is.")
        return JSONResponse({"folder": await asyncio.to_thread(keep_study, study, self._keep)}, 201)

    async def _volume(self, request: Request, study_id: str, case_id: str, kind: str) -> Response:
        study = self._session(request).study(study_id)
        case = _case(study, case_id)
        if kind != "image" and not (is_answered(study, case_id) and case[kind]):
            raise unknown(kind)
        name = kind
        if kind == "image":
            channel = request.query_params.get("channel", "0")
            if not channel.isdecimal() or not channel.isascii() or int(channel[:4]) >= case["channels"]:
                raise unknown("channel")
            name = f"image_{int(channel)}"
        elif kind == "labels" and request.query_params.get("grid") == "source":
            name = "labels_source"
        path = study.out / f"{case_id}_{name}.nii.gz"
        if path.is_symlink() or not path.is_file():
            raise unknown(kind)
        return FileResponse(path, media_type="application/gzip")

    async def _read(self, request: Request, study_id: str, case_id: str) -> Response:
        study = self._reading_study(request, study_id)
        _case(study, case_id)
        values = await self._json(request)
        study.readings.read(case_id, values, study.model.exported.task.class_names)
        return JSONResponse(case_of(study, case_id))

    async def _readings(self, request: Request) -> Response:
        study = self._reading_study(request, request.query_params.get("study", ""))
        headers = {"content-disposition": 'attachment; filename="readings.csv"'}
        data = study.readings.as_csv(study.cases)
        return Response(data, media_type="text/csv; charset=utf-8", headers=headers)

    async def _agreement(self, request: Request) -> Response:
        study = self._reading_study(request, request.query_params.get("study", ""))
        others = (await self._json(request)).get("readers", [])
        found = await asyncio.to_thread(
            agreement, study.readings, study.cases, study.model.exported.task, others
        )
        return JSONResponse(found)

    def _session(self, request: Request) -> Session:
        return self._sessions.get(request.headers.get("x-session"))

    def _reading_study(self, request: Request, study_id: str) -> Study:
        study = self._session(request).study(study_id)
        if study.readings is None:
            raise Refused(409, "This study is not in reading mode.", "a reading", "Drop it in reading mode.")
        return study

    async def _json(self, request: Request) -> dict:
        """The JSON object in a body; raises Refused (400, 408, 413, 415)."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "This address takes JSON.", kind[:60] or "no content type",
                          "Send application/json.")  # fmt: skip
        body = await self._body(request, self._limits.json_bytes)
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise Refused(400, "The body is not a JSON object.", f"{len(body)} bytes", "Send an object.")
        return values

    async def _body(self, request: Request, most: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.stall_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > most:
                        raise Refused(413, f"The body can have {most} bytes.", "more", "Send less.")
        except TimeoutError:
            raise Refused(408, "The request is too slow.", f"{len(body)} bytes", "Try again.") from None
        return bytes(body)


def _case(study: Study, case_id: str) -> dict:
    if case_id not in study.cases:
        raise unknown("case")
    return study.cases[case_id]


def _flag(values: dict, name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise Refused(400, f"{name} must be true or false.", repr(value)[:40], "Send a boolean.")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > MOST_NAME or not value.isprintable():
        raise Refused(400, f"A reader's name has at most {MOST_NAME} printable characters.", repr(value)[:40],
                      "Give another.")  # fmt: skip
    return value.strip() or "reader"
