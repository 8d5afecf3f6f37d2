"""Tells the service manager how the station is, by systemd's protocol: one datagram for each message (sd_notify(3))."""

import socket
from collections.abc import Mapping

SAY_LIMIT_S = 1.0
"""How long to wait for a manager whose queue is full."""
_MICROSECONDS = 1_000_000


class ServiceManager:
    """Whoever started the station and watches over it; nobody, where the environment names none.

    Nothing that is said to it ever stops the station: a manager that does not listen is not told.

    Args:
        environment: `NOTIFY_SOCKET` and `WATCHDOG_USEC` as the manager sets them.
        pid: of this process; a `WATCHDOG_PID` of another one means that the watchdog is not about us.
    """

    def __init__(self, environment: Mapping[str, str], *, pid: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address if address.startswith("/") else ""
        wanted = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        self.watchdog_s = int(wanted) / _MICROSECONDS if self._address and meant and wanted.isdecimal() else 0.0
        """Within how many seconds it wants to hear that the station is alive; 0: it does not ask."""

    def still_starting(self, limit_s: float, what: str) -> None:
        """The start goes on; it is given up if nothing is heard for that long."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(limit_s * _MICROSECONDS)}", f"STATUS={what}")

    def ready(self, what: str) -> None:
        """The lanes have started."""
        self._say("READY=1", f"STATUS={what}")

    def alive(self) -> None:
        """What must never hang does not."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The station makes its lanes safe and ends."""
        self._say("STOPPING=1", "STATUS=making the lanes safe")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
                way.settimeout(SAY_LIMIT_S)
                way.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            # It has gone, or has no room now. A watchdog that hears nothing acts by itself.
            return
