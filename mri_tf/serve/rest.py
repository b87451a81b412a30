"""TensorFlow Serving's REST interface as an ASGI application."""

import asyncio
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mri_tf.serve.config_files import METRICS_PATH
from mri_tf.serve.limits import Budget, Held, check_token, decompressed, read_body
from mri_tf.serve.messages import metadata_json, status_json
from mri_tf.serve.models import Spec
from mri_tf.serve.raw_tensors import OFFER
from mri_tf.serve.rest_calls import Calls, as_json
from mri_tf.serve.status import ServingError, invalid
from mri_tf.serve.version_folders import LARGEST_VERSION

NAME = r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
POST_PATH = re.compile(rf"(?i:{NAME}):(classify|regress|predict)")
GET_PATH = re.compile(rf"(?i:{NAME})(?:/(metadata))?")


class Rest:
    """The application; once the event `stopping` is set, every answer closes its connection."""

    def __init__(self, models, settings, metrics, stopping):
        self._models, self._settings, self._metrics = models, settings, metrics
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="rest")
        self._budget = Budget(settings.held_bytes)
        self._stopping = stopping
        self._calls = Calls(models)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        if self._stopping.is_set():
            response.headers["connection"] = "close"
        # So that a client that does not read its answer cannot hold a connection for ever.
        async with asyncio.timeout(self._settings.timeout_s):
            await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        started = time.perf_counter()
        path = request.scope["raw_path"].decode("ascii", "replace")
        model, verb, status = "", "", "OK"
        try:
            check_token(request.headers.get("authorization"), self._settings)
            if request.method == "GET" and path == METRICS_PATH:
                return Response(self._metrics.page(), media_type="text/plain; version=0.0.4")
            spec, verb = parse_path(request.method, path)
            if spec.name in self._models.names:
                model = spec.name
            with Held(self._budget) as held:
                return await self._answer(spec, verb, request, held)
        except ServingError as error:
            status = error.code
            return _refusal(error)
        except ClientDisconnect:
            status = "CANCELLED"
            raise
        except Exception as error:
            status = "INTERNAL"
            print(f"REST: unexpected {type(error).__name__}", file=sys.stderr, flush=True)
            return _refusal(ServingError("INTERNAL", type(error).__name__))
        finally:
            if model and request.method == "POST":
                microseconds = (time.perf_counter() - started) * 1e6
                self._metrics.requests.add(1, model, status)
                self._metrics.latency.add(microseconds, model, verb, "REST")

    async def _answer(self, spec: Spec, verb: str, request: Request, held: Held) -> Response:
        if verb == "status":
            return as_json(status_json(self._models.states(spec)))
        if verb == "metadata":
            with self._models.use(spec) as version:
                return as_json(metadata_json(version), OFFER)
        call = self._calls.of(verb, request.headers)
        body = await read_body(request.stream(), request.headers, self._settings, held)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        deadline = time.monotonic() + self._settings.timeout_s

        def in_thread() -> Response:
            if time.monotonic() > deadline:
                raise ServingError("DEADLINE_EXCEEDED", "Timed out waiting for a free thread")
            return call(spec, decompressed(body, encoding, self._settings, held), deadline)

        work = asyncio.get_running_loop().run_in_executor(self._pool, in_thread)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await work
        except TimeoutError:
            raise ServingError("DEADLINE_EXCEEDED", "Timed out waiting for the model") from None

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def parse_path(method: str, path: str) -> tuple[Spec, str]:
    """The model of a path, and its verb: predict, classify, regress, status or metadata.

    Raises ServingError.
    """
    if not path.lower().startswith("/v1/"):
        raise ServingError("NOT_FOUND", "Unknown path: models are at /v1/models/NAME")
    match = None
    if method == "POST":
        match = POST_PATH.fullmatch(path)
    elif method == "GET":
        if path.lower() == "/v1/models":
            raise invalid("Missing model name in request.")
        match = GET_PATH.fullmatch(path)
    if match is None:
        raise invalid(f"Malformed request: {method} {path}")
    name, version, label, verb = match.groups()
    if version is not None and int(version[:20]) > LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {version} to numeric.")
    number = None if version is None else int(version[:20])
    return Spec(_decoded(name), number, _decoded(label or "")), (verb or "status").lower()


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _refusal(error: ServingError) -> Response:
    response = Response(json.dumps({"error": error.message}), error.http, media_type="application/json")
    if error.code == "UNAUTHENTICATED":
        response.headers["www-authenticate"] = "Bearer"
    return response
