"""Opening addresses that the user gave, and no others. Standard library only."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the token and the images are sent only to the address the user gave."""

    def redirect_request(self, *_):
        return None


def opener_of(server: str) -> urllib.request.OpenerDirector:
    """Opens addresses of a server: redirects are errors, and no proxy is asked for this machine."""
    # A proxy set in the environment would look for a local address on the proxy's machine.
    is_local = is_loopback(urlsplit(server).hostname or "")
    no_proxy = [urllib.request.ProxyHandler({})] if is_local else []
    return urllib.request.build_opener(_NoRedirects, *no_proxy)
