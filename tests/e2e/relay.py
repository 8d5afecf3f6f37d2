"""A TCP socket that can be plugged in and pulled out: what a device or server out of reach looks like."""

import contextlib
import socket
import threading


class Plug:
    """Relays 127.0.0.1:`port` to an address while it is plugged in; refuses connections while it is not."""

    def __init__(self, address: str, port: int) -> None:
        host, _, target = address.rpartition(":")
        self._target = (host, int(target))
        self.port = port
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def plug_in(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def pull_out(self) -> None:
        """Cut every connection and take no new one."""
        if self._listener is not None:
            # Closing alone would leave a waiting accept() at work.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._target, 5)
            except OSError:
                return
            for one, other in ((near, far), (far, near)):
                self._open.add(one)
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.discard(one)
        one.close()
