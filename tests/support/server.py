"""A WSGI application on a free port of loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext
from threading import Thread
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Log nothing; of a client that breaks off its handshake, too."""


@contextmanager
def serving(application: "WSGIApplication", tls: SSLContext | None = None) -> Iterator[str]:
    """Serve it, a thread for each request; give the address."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=tls)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
