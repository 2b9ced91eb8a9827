"""Runs the server in this process: the socket, signals, and slow clients."""

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nmt.errors import MachineError, UserError
from nmt.server.models import Models
from nmt.server.service import Service
from nmt.system.files import reason
from nmt.system.signals import Terminated

logger = logging.getLogger(__name__)

_HEADER_SECONDS = 15.0  # the time in which a client must send the head of a request
_FIRST_SECONDS = 0.5  # the time that a new connection has for its first request when the server shuts down
_READ_SECONDS = 30.0  # the time in which a client must read a part of the response
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2_048
_SILENT = ("nmt.translation", "python_multipart", "uvicorn")  # these warn about single requests, and show parts of them


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How the server runs."""

    proxies: tuple[str, ...] = ()
    """The addresses of proxies whose X-Forwarded-For is trusted."""
    drain_seconds: int = 30
    """How long requests may take after SIGTERM."""


def bind(host: str, port: int) -> socket.socket:
    """Reserve an address. Nobody can connect until the server runs.

    Raises:
        MachineError: the address is in use, or does not belong to this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        reserved = socket.socket(family, kind, protocol)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(address)
        except OSError:
            reserved.close()
            raise
    except OSError as error:
        raise MachineError(f"{host}:{port}: {reason(error)}; choose another --host or --port") from None
    return reserved


def run_server(
    app: Any, service: Service, reserved: socket.socket, settings: RunSettings, *, reload: Callable[[], Models]
) -> None:
    """Serve an application until a signal arrives. After SIGTERM, running requests are answered first.

    Args:
        app: the ASGI application.
        service: the service of the application.
        reserved: the socket that `bind` returned.
        settings: how the server runs.
        reload: loads the models again. It is called after SIGHUP.
    """
    _allow_connections()
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=_PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        backlog=_BACKLOG,
    )
    server = _Server(config, service, reload)
    try:
        server.run([reserved])
    except Terminated:  # all requests are answered
        logger.info("stopped")
    service.pool.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, reload: Callable[[], Models]) -> None:
        super().__init__(config)
        self._service, self._reload = service, reload
        self._reloading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._start_reload)
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        logger.info("ready at http://%s:%d", f"[{host}]" if ":" in host else host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.ready = False
        super().handle_exit(sig, frame)

    def _start_reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self._load_again())

    async def _load_again(self) -> None:
        """Replace the models. Running requests keep the old ones."""
        try:
            models = await asyncio.to_thread(self._reload)
        except UserError as error:
            logger.error("%s; the models stay as they were", error)
            return
        self._service.models = models
        self._service.pool.clear_cache()
        logger.info("loaded the models again")


class _PatientProtocol(H11Protocol):
    """Closes connections whose clients do not send the head of a request in time, or do not read the response."""

    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self.cycle is None:  # the first request of a new connection can be on its way
            self.loop.call_later(_FIRST_SECONDS, self._close)
        else:
            super().shutdown()

    def _close(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_watching()
        super().resume_writing()

    def _watch(self, left: int) -> None:
        """Check after a while whether the client has read something of the `left` bytes."""
        self._reading = self.loop.call_later(_READ_SECONDS, self._check_reading, left)

    def _check_reading(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _allow_connections() -> None:
    """Raise the number of files that the process may open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
