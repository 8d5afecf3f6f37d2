"""The web application: everything comes in from outside, nothing here knows an adapter."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from station.api import (
    alarms,
    audit,
    certificates,
    console,
    exercises,
    freezes,
    guards,
    health,
    lanes,
    performance,
    pieces,
    problems,
    reports,
    reviews,
    scans,
    session,
    stream,
    users,
)
from station.api.context import Context
from station.api.doorway import Doorway
from station.api.lists import Lists
from station.api.routing import mount
from station.api.texts import Texts
from station.domain.errors import StationError
from station.ports.clock import Clock
from station.ports.store import Store
from station.ports.vault import ImageStore
from station.workflow.access import Access
from station.workflow.accounts import Accounts
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.proving import LogProofs
from station.workflow.report_requests import Reports
from station.workflow.unfreezing import Unfreezing
from station.workflow.viewing import ViewLog

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_SWEEP_S = 2.0
ANSWERS_AT_ONCE = 4
"""Answers that are read from the store at the same time. Each is a thread that the lanes' thread may have to wait for."""
_log = logging.getLogger(__name__)


def create_app(
    *,
    handlers: Handlers,
    store: Store,
    images: ImageStore,
    feed: EventFeed,
    clock: Clock,
    certify: Callable[[str], bytes],
    proofs: LogProofs,
    access: Access,
    accounts: Accounts,
    report_making: Reports,
    list_making: Lists,
    unfreezing: Unfreezing,
    hosts: Sequence[str] = LOOPBACK_HOSTS,
    version: str = "0.1.0",
    texts: Texts | None = None,
) -> FastAPI:
    """The interface under `/api/v1`, the console, and the health endpoints.

    While it runs it also holds pieces again whose reviewer's lease ran out, and records refused log-ins. Off the loopback serve it by TLS
    only.

    Args:
        handlers: the use cases.
        store: for reading.
        images: scans and their views.
        feed: events for the live pages.
        clock: the station's time.
        certify: makes the certificate of a piece, as a file.
        proofs: proves leaves of the audit log.
        access: who is here, and how they come and go.
        accounts: who may come in.
        report_making: makes reports.
        list_making: makes the lists that pages ask for again and again.
        unfreezing: the checklist and the all clears of frozen lanes.
        hosts: names under which it may be called; others are refused.
        version: shown in the interface's description.
        texts: the words of both languages; the shipped ones unless given.
    """
    context = Context(
        handlers=handlers,
        store=store,
        images=images,
        feed=feed,
        clock=clock,
        texts=texts or Texts(),
        certify=certify,
        proofs=proofs,
        views=ViewLog(store=store, clock=clock),
        access=access,
        accounts=accounts,
        reports=report_making,
        lists=list_making,
        unfreezing=unfreezing,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = ANSWERS_AT_ONCE
        await list_making.start()
        sweep = asyncio.create_task(_sweep(handlers, access))
        yield
        sweep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweep
        await access.tell_all()
        await asyncio.gather(report_making.close(), list_making.close())

    app = FastAPI(
        title="KT1 station", version=version, lifespan=lifespan, docs_url=None, redoc_url=None, separate_input_output_schemas=False
    )
    app.state.clock = clock
    problems.install(app, context.texts)
    app.add_middleware(Doorway, access=access, texts=context.texts)
    app.add_middleware(guards.Guards, texts=context.texts, hosts=hosts)
    resources = (
        session,
        users,
        pieces,
        scans,
        reviews,
        lanes,
        freezes,
        exercises,
        performance,
        reports,
        alarms,
        certificates,
        audit,
        stream,
        health,
    )
    for resource in resources:
        mount(app, resource.router(context))
    console.install(app, context)
    return app


async def _sweep(handlers: Handlers, access: Access) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        for sweep in (handlers.hold_expired_claims, access.sweep):
            try:
                await sweep()
            except StationError as error:
                # The store says for itself that it is failing; the next round tries again.
                _log.warning("claims or log-ins were not swept: %s", error)
