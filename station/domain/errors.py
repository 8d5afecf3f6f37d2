"""One family of errors: each says what happened, why it matters and what to do."""

from collections.abc import Iterable

TOLD_AT_ONCE = 10
"""So many troubles one error tells in words: a disk that dies may have one for each image."""


class StationError(Exception):
    """Base of every error that the station raises on purpose.

    Attributes:
        what: what happened, naming device or file and the request.
        consequence: why it matters (what is held, what is lost).
        remedy: what a person should do next.
        code: stable machine-readable name, used in problem details and exit codes.
    """

    code = "station-error"

    def __init__(self, what: str, *, consequence: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.consequence = consequence
        self.remedy = remedy

    def __str__(self) -> str:
        return ". ".join(part.rstrip(".") for part in (self.what, self.consequence, self.remedy) if part)


class TransitionError(StationError):
    """A piece was asked to change into a state that its lifecycle does not allow from where it is."""

    code = "transition-not-allowed"


class IdentifierError(StationError):
    """A piece id, tag or local id is malformed."""

    code = "identifier-malformed"


class ConfigurationError(StationError):
    """The configuration names something unknown or out of range."""

    code = "configuration-invalid"


class AddressError(StationError):
    """An address of this machine cannot be listened on now; it may be free, or there, in a moment."""

    code = "address-not-free"


class DeviceError(StationError):
    """A device answered wrongly, refused, or did not answer."""

    code = "device-error"


class DeviceUnreachableError(DeviceError):
    """A device or its link cannot be reached."""

    code = "device-unreachable"


class DeviceProtocolError(DeviceError):
    """A device answered with something that its protocol does not allow; nothing of the answer is used."""

    code = "device-protocol"


class DeviceRefusedError(DeviceError):
    """A device understood the request and refused it."""

    code = "device-refused"


class RequestNotTakenError(DeviceRefusedError):
    """A device did not take a request as such (busy, failed, not in its map): that says nothing about what it does now."""


class StoreError(StationError):
    """A fact could not be made durable."""

    code = "store-error"


class StoreUnavailableError(StoreError):
    """The store does not answer now, for a reason that may pass; nothing is said about what it holds."""


class ScreeningError(StationError):
    """A scan could not be read by the model."""

    code = "screening-error"


class NotFoundError(StationError):
    """What was asked for does not exist, or must look as if it did not."""

    code = "not-found"


class ConflictError(StationError):
    """The request was valid once, but the world has moved on (lease lost, decision already taken)."""

    code = "conflict"


class AnnouncementTooLateError(ConflictError):
    """An announcement came after its piece, and says something else than what the piece was taken by."""

    code = "announcement-too-late"


class WithdrawnError(ConflictError):
    """The piece was withdrawn; its number is not used again."""

    code = "piece-withdrawn"


class RefusedError(StationError):
    """The station understood the request and refuses it by rule."""

    code = "refused"


class ImageDestroyedError(NotFoundError):
    """The image was destroyed by rule; only the evidence about it is left."""

    code = "image-destroyed"


class ImageKeyLostError(StoreError):
    """An image is there, but the key that it needs is not."""

    code = "image-key-lost"


class ImageDamagedError(StoreError):
    """An image is there, but it is not what was written, or the disk does not give it."""

    code = "image-damaged"


class SeveralFailuresError(StoreError):
    """Several things failed at once.

    Args:
        each: what is to be told of each, in words; the error itself says the first `TOLD_AT_ONCE` and how many more there are.
    """

    def __init__(self, each: Iterable[str]) -> None:
        self.each = tuple(dict.fromkeys(each))
        more = len(self.each) - TOLD_AT_ONCE
        super().__init__("; ".join([*self.each[:TOLD_AT_ONCE], *([f"{more} more"] if more > 0 else [])]))
