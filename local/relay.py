"""Let containers reach the stack: a relay on Docker's bridge for the ports that answer on loopback.

`sam local` runs functions in containers, and a container's loopback is its own. Docker Desktop leads
`host.docker.internal` to this machine's loopback by itself; on Linux the name leads to the bridge, where
nothing of the stack listens. The relay listens there, for containers only.
"""

import fcntl
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Final

from local.server import HOST

_BRIDGE: Final = b"docker0"
_GET_ADDRESS: Final = 0x8915
"""SIOCGIFADDR of netdevice(7)."""

_CONNECT_SECONDS: Final = 5.0


def bridge_address() -> str | None:
    """Return the address of Docker's bridge; None where this machine has none, as with Docker Desktop."""
    if sys.platform != "linux":
        return None
    interface = bytearray(struct.pack("256s", _BRIDGE))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        fcntl.ioctl(any_socket.fileno(), _GET_ADDRESS, interface)
        return socket.inet_ntoa(interface[20:24])
    return None


@contextmanager
def relay(address: str, ports: Iterable[int]) -> Iterator[None]:
    """Pass on what comes to ports of an address, `bridge_address()`, to the same ports on loopback.

    Raises
    ------
    OSError
        The address is not this machine's, or a port is taken there.
    """
    with ExitStack() as cleanup:
        for port in ports:
            listener = cleanup.enter_context(_Listener((address, port), _Connection))
            threading.Thread(target=listener.serve_forever, args=(0.1,), daemon=True).start()
            cleanup.callback(listener.shutdown)
        yield


class _Listener(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Connection(BaseRequestHandler):
    """One connection of a container, passed on byte for byte."""

    def handle(self) -> None:
        port = self.server.server_address[1]  # type: ignore[index]  # an IPv4 address is a pair
        with suppress(OSError), socket.create_connection((HOST, port), _CONNECT_SECONDS) as stack:
            stack.settimeout(None)
            back = threading.Thread(target=_pass_on, args=(stack, self.request), daemon=True)
            back.start()
            _pass_on(self.request, stack)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until their end, which is passed on like them."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
