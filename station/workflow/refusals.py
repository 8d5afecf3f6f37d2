"""Why a use case says no: each refusal has a stable code with a text in both languages (`problem-<code>`)."""

import math

from station.domain.errors import ConflictError, RefusedError, StationError


class KeyReusedError(StationError):
    """An idempotency key came back with another request."""

    code = "idempotency-key-reused"


class LevelUnknownRefusedError(RefusedError):
    """A piece that nobody announced counts as one of the highest level."""

    code = "level-unknown"


class FreezeOverError(ConflictError):
    """What was said is about another freeze than the one that the lane is in."""

    code = "freeze-over"


class FreezeStepsMissingError(RefusedError):
    """An all clear before every step of the checklist is done."""

    code = "freeze-steps-missing"


class NothingToLookAtError(RefusedError):
    """A piece without a scan of its own on this visit cannot be cleared."""

    code = "no-scan-to-clear"


class RadiationRefusedError(RefusedError):
    """The piece's radiation reached the level from which no review clears it."""

    code = "radiation-beyond-review"


class SecondPersonError(RefusedError):
    """The same person may not decide twice."""

    code = "second-person-needed"


class NotAnnounceableError(RefusedError):
    """The id is a test piece's."""

    code = "id-reserved"


class ScanOutdatedError(ConflictError):
    """The scan that was looked at is not the newest."""

    code = "scan-outdated"


class NotReleasedError(ConflictError):
    """Only a piece that was released has a certificate."""

    code = "certificate-not-released"


class NotYetProvedError(ConflictError):
    """The audit log is not signed so far yet."""

    code = "certificate-not-yet"


class NotProvableError(ConflictError):
    """What is stored of the release does not make a certificate that holds."""

    code = "certificate-not-provable"


class LeafNotProvableError(ConflictError):
    """A leaf of the audit log is not the one that was signed."""

    code = "leaf-not-provable"


class LeaseLostError(ConflictError):
    """The person does not hold the lease on the piece (any more)."""

    code = "lease-lost"


class LeaseTakenError(ConflictError):
    """Somebody else holds the lease."""

    code = "lease-taken"


class WrongStateError(ConflictError):
    """The piece is not in a state in which this can be asked."""

    code = "wrong-state"


class CancelTooLateError(WrongStateError):
    """A piece that has come cannot be withdrawn."""

    code = "cancel-too-late"


class NotLoggedInError(RefusedError):
    """Nobody is logged in, or no longer."""

    code = "not-logged-in"


class LogInRefusedError(NotLoggedInError):
    """Login and password do not belong together; which of them is wrong is not said."""

    code = "log-in-refused"


class NotPermittedError(RefusedError):
    """The caller's roles do not allow it."""

    code = "not-permitted"


class StepUpNeededError(RefusedError):
    """The person must give the password once more."""

    code = "step-up-needed"


class TooManyTriesError(RefusedError):
    """A guess too many; `retry_after_s` tells when the next may be made."""

    code = "too-many-tries"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(
            "Too many wrong passwords", consequence="This one was not looked at", remedy=f"Try again in {math.ceil(retry_after_s)} s"
        )
        self.retry_after_s = retry_after_s


class LinkInvalidError(RefusedError):
    """The one-time link was used, has expired, or never was one."""

    code = "link-invalid"


class OwnAccountError(RefusedError):
    """Nobody changes what they themselves may do."""

    code = "own-account"
