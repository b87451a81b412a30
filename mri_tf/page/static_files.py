"""The built page: the files of `static/`, found by a list of them and by no path of a request."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from mri_tf.page.refused import Refused

FOLDER = Path(__file__).with_name("static")
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon",
    ".woff2": "font/woff2", ".json": "application/json", ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}  # fmt: skip


def static_file(request: Request, name: str, folder: Path = FOLDER) -> Response:
    """The file of a name such as "page.js", 304 for one that the browser has; raises Refused (404)."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if name not in files:
        missing = "The page is not built." if name == INDEX else "There is no such file."
        raise Refused(404, missing, name[:80], "Build it with npm run build in mri_tf/page/web.")
    kind = TYPES.get(files[name].suffix, "application/octet-stream")
    headers = {"cache-control": "no-cache"}  # asked for again each time, and mostly unchanged
    state = files[name].stat()
    found = FileResponse(files[name], headers=headers, media_type=kind, stat_result=state)
    if request.headers.get("if-none-match") == found.headers["etag"]:
        return Response(status_code=304, headers={**headers, "etag": found.headers["etag"]})
    return found
