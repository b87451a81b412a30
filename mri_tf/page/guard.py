"""Who may ask the page, and what every answer says to the browser about what it may do."""

from urllib.parse import urlsplit

from starlette.requests import Request

from mri_tf.core.web import is_loopback
from mri_tf.page.refused import Refused
from mri_tf.serve.access import brings_token

OF_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
OF_CARD = (  # a page of our own that runs nothing; shown alone or in a frame of the page
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
HEADERS = {
    "content-security-policy": OF_PAGE,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
OPEN = ("/api/about", "/api/session/close")  # the second brings its own secret
ABOUT, CLOSE, CARD_END = *OPEN, "/card"


class Guard:
    """Checks each request before anything of it is used.

    Args:
        token: that requests must bring; "" for none.
        loopback: whether only this machine can reach the page: then its names are the only ones that a
            request may use for it, so that no other site can make itself one (DNS rebinding).
    """

    def __init__(self, token: str, loopback: bool):
        self.token, self._loopback = token, loopback

    def check(self, request: Request) -> None:
        """Raises Refused: 403 for another host or origin, 401 without the token."""
        host = request.headers.get("host", "")
        if self._loopback and not _is_own(host):
            raise Refused(403, "The page is asked under a name that is not this machine's.",
                          host[:80] or "none", "Open http://127.0.0.1 with its port.")  # fmt: skip
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin")
        path = request.url.path
        from_elsewhere = origin is not None and urlsplit(origin).netloc != host
        if from_elsewhere or (path.startswith("/api/") and site not in ("same-origin", "none")):
            raise Refused(403, "Another site asked this page.", (origin or site)[:80],
                          "Open the page itself.")  # fmt: skip
        if path.startswith("/api/") and path not in OPEN and not self._brings_own(request):
            self._check_token(request.headers.get("authorization", ""))

    def _brings_own(self, request: Request) -> bool:
        """A card in a tab of its own brings the session in its address, and is let in only by it."""
        return request.url.path.endswith(CARD_END) and bool(request.query_params.get("session"))

    def _check_token(self, authorization: str) -> None:
        if not brings_token(authorization, self.token):
            error = Refused(401, "The page needs its token.", "another" if authorization else "none",
                            "Enter the token that the page was started with.")  # fmt: skip
            error.headers["www-authenticate"] = "Bearer"
            raise error


def _is_own(host: str) -> bool:
    """Whether a Host header names this machine as only it can: 127.0.0.1:8502, localhost, [::1]."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
