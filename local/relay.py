"""Let containers reach the stack: a relay on Docker's bridge for the ports that answer on loopback.

`sam local` runs functions in containers, and a container's loopback is its own. Docker Desktop leads
`host.docker.internal` to this machine's loopback by itself; on Linux the name leads to the bridge, where
nothing of the stack listens. The relay listens there, for containers only.
"""

import selectors
import socket
import struct
import sys
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Final, Self

from local.server import HOST

_BRIDGE: Final = b"docker0"
_GET_ADDRESS: Final = 0x8915
"""SIOCGIFADDR of netdevice(7)."""

_CHUNK: Final = 65536
_CONNECT_SECONDS: Final = 5.0


def bridge_address() -> str | None:
    """Give the address of Docker's bridge; None where this machine has none, as with Docker Desktop."""
    if sys.platform != "linux":
        return None
    from fcntl import ioctl  # noqa: PLC0415 - Unix only

    interface = bytearray(struct.pack("256s", _BRIDGE))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        ioctl(any_socket.fileno(), _GET_ADDRESS, interface)
        return socket.inet_ntoa(interface[20:24])
    return None


class _Connection(BaseRequestHandler):
    """One connection of a container, passed on byte for byte."""

    def handle(self) -> None:
        port = self.server.server_address[1]  # type: ignore[index]  # an IPv4 address is a pair
        with suppress(OSError), socket.create_connection((HOST, port), _CONNECT_SECONDS) as stack:
            stack.settimeout(None)
            _pass_on(self.request, stack)


class _Listener(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Relay(AbstractContextManager["Relay"]):
    """A running relay.

    Parameters
    ----------
    address
        Where containers look, `bridge_address()`.
    ports
        Ports of the stack on loopback; the relay takes the same ones.

    Raises
    ------
    OSError
        On entering: the address is not this machine's, or a port is taken there.
    """

    def __init__(self, address: str, ports: Iterable[int]) -> None:
        self._address = address
        self._ports = tuple(ports)
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            for port in self._ports:
                listener = cleanup.enter_context(_Listener((self._address, port), _Connection))
                threading.Thread(
                    target=listener.serve_forever, args=(0.1,), name=f"relay-{port}", daemon=True
                ).start()
                cleanup.callback(listener.shutdown)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()


def _pass_on(left: socket.socket, right: socket.socket) -> None:
    """Pass bytes both ways until both sides have ended; one side's end is passed on like its bytes."""
    with selectors.DefaultSelector() as selector:
        selector.register(left, selectors.EVENT_READ, right)
        selector.register(right, selectors.EVENT_READ, left)
        while selector.get_map():
            for key, _ in selector.select():
                source, target = key.fileobj, key.data
                chunk = source.recv(_CHUNK)  # type: ignore[union-attr]  # what was registered is a socket
                if chunk:
                    target.sendall(chunk)
                else:
                    selector.unregister(source)
                    target.shutdown(socket.SHUT_WR)
