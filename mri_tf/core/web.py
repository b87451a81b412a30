"""Opening addresses that the user gave, and no others. Standard library only."""

import urllib.request
from urllib.parse import urlsplit


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the token and the images are sent only to the address the user gave."""

    def redirect_request(self, *_):
        return None


def opener_of(server: str) -> urllib.request.OpenerDirector:
    """Opens addresses of a server: redirects are errors, and no proxy is asked for this machine."""
    host = urlsplit(server).hostname or ""
    is_local = host == "localhost" or host.startswith("127.") or host == "::1"
    # A proxy set in the environment would look for a local address on the proxy's machine.
    no_proxy = [urllib.request.ProxyHandler({})] if is_local else []
    return urllib.request.build_opener(_NoRedirects, *no_proxy)
