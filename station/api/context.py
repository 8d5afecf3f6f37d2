"""What every router works with."""

from dataclasses import dataclass

from station.api.texts import Texts
from station.ports.clock import Clock
from station.ports.store import ImageStore, Store
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that is injected into the application."""

    handlers: Handlers
    store: Store
    images: ImageStore
    feed: EventFeed
    clock: Clock
    texts: Texts

    def blind_scans(self) -> frozenset[str]:
        """Scans that an operator is reading blind now: until that decision nobody is told what the model found."""
        views = [lane.view() for lane in self.handlers.lanes.values()]
        return frozenset(view.request.scan_sha256 for view in views if view.request is not None and view.request.blind)
