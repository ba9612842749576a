"""A WSGI application on a free port of loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext
from wsgiref.types import WSGIApplication

from local.server import Server


@contextmanager
def serving(application: WSGIApplication, tls: SSLContext | None = None) -> Iterator[str]:
    """Serve it as the local stack's parts are, with TLS if told to; yield the address."""
    with Server(application) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        yield server.url.replace("http:", "https:" if tls else "http:")
