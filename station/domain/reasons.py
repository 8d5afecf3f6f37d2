"""Why a piece is held or a gate stays shut; each code has a text in both languages under `reason-<code>`."""

from enum import StrEnum


class Reason(StrEnum):
    """Stable codes. `describes_content` tells which of them may not leave the site for a marked piece."""

    # identity
    NOT_IDENTIFIED = "not-identified"
    BARCODE_UNREADABLE = "barcode-unreadable"
    BARCODE_MALFORMED = "barcode-malformed"
    BARCODE_DIFFERS = "barcode-differs"
    ID_NOT_NEW = "id-not-new"
    UNANNOUNCED = "unannounced"
    SIZE_DIFFERS = "size-differs"
    WEIGHT_DIFFERS = "weight-differs"
    # track
    TRACK_LOST = "track-lost"
    DIVERTED = "diverted"
    PURGED = "purged"
    RESTARTED = "restarted"
    ZONE_ACCESSED = "zone-accessed"
    TAILGATE = "tailgate"
    # scan
    NO_SCAN = "no-scan"
    SCAN_INCOMPLETE = "scan-incomplete"
    SCAN_NOT_THIS_PIECE = "scan-not-this-piece"
    LINES_MISSING = "lines-missing"
    PIECE_CLIPPED = "piece-clipped"
    TWO_PIECES = "two-pieces"
    DETECTOR_SATURATED = "detector-saturated"
    BELT_SPEED_OFF = "belt-speed-off"
    BEAM_OFF_SET_POINT = "beam-off-set-point"
    CALIBRATION_STALE = "calibration-stale"
    OPAQUE_AREA = "opaque-area"
    RADIATION = "radiation"
    # model
    NO_MODEL_READING = "no-model-reading"
    MODEL_FAILED = "model-failed"
    MODEL_STALE = "model-stale"
    MODEL_NOT_PROVED = "model-not-proved"
    MODEL_ALARM = "model-alarm"
    MODEL_BLADE = "model-blade"
    MODEL_HANDGUN = "model-handgun"
    MODEL_BOMB = "model-bomb"
    MODEL_POWDER = "model-powder"
    MODEL_DENSE_LIQUID = "model-dense-liquid"
    MODEL_SHIELD = "model-shield"
    MODEL_AMMUNITION = "model-ammunition"
    MODEL_INITIATOR = "model-initiator"
    MODEL_SHEET_EXPLOSIVE = "model-sheet-explosive"
    MODEL_BULK_EXPLOSIVE = "model-bulk-explosive"
    MODEL_AEROSOL = "model-aerosol"
    MODEL_LITHIUM_PACK = "model-lithium-pack"
    ATTENTION_SCORE = "attention-score"
    PROJECTED_IMAGE = "projected-image"
    # people
    READ_NOT_BLIND = "read-not-blind"
    AWAITING_OPERATOR = "awaiting-operator"
    AWAITING_SECOND_PERSON = "awaiting-second-person"
    OPERATOR_HOLDS = "operator-holds"
    DECISION_TIMEOUT = "decision-timeout"
    REVIEW_REJECTS = "review-rejects"
    REVIEW_HOLDS = "review-holds"
    SECOND_OPINION = "second-opinion"
    # second visit
    IMAGE_MISMATCH = "image-mismatch"
    IMAGE_NOT_COMPARED = "image-not-compared"
    NEW_FINDING = "new-finding"
    # disinfection
    NOT_CLEARED = "not-cleared"
    NO_DISINFECTION = "no-disinfection"
    DOSE_SHORT = "dose-short"
    DOSE_DISAGREES = "dose-disagrees"
    NONCE_DIFFERS = "nonce-differs"
    RETRIES_USED_UP = "retries-used-up"
    SAMPLES_MISSING = "samples-missing"
    LAMP_FAULT = "lamp-fault"
    SENSOR_OVERDUE = "sensor-overdue"
    DISINFECTED_BEFORE_CLEARANCE = "disinfected-before-clearance"
    UNIT_NOT_READY = "unit-not-ready"
    UNIT_FAULT = "unit-fault"
    PARAMETER_OUT_OF_WINDOW = "parameter-out-of-window"
    # station
    TEST_PIECE_MISSING = "test-piece-missing"
    TEST_PIECE = "test-piece"
    AUDIT_BROKEN = "audit-broken"
    STORE_FAILING = "store-failing"
    DEVICE_LOST = "device-lost"
    PLC_FAULT = "plc-fault"
    RECORD_RESTORED = "record-restored"
    POLICY_CHANGED = "policy-changed"
    STATION_UNHEALTHY = "station-unhealthy"
    # gate
    FROZEN = "frozen"
    TAG_DIFFERS = "tag-differs"
    CHALLENGE_STALE = "challenge-stale"
    EVIDENCE_STALE = "evidence-stale"
    WRONG_STATE = "wrong-state"
    PERMIT_INVALID = "permit-invalid"

    @property
    def describes_content(self) -> bool:
        """True when the code says something about what is inside the piece."""
        return self in _ABOUT_CONTENT


NAMED_BY_MODEL = frozenset(
    {
        Reason.MODEL_BLADE,
        Reason.MODEL_HANDGUN,
        Reason.MODEL_BOMB,
        Reason.MODEL_POWDER,
        Reason.MODEL_DENSE_LIQUID,
        Reason.MODEL_SHIELD,
        Reason.MODEL_AMMUNITION,
        Reason.MODEL_INITIATOR,
        Reason.MODEL_SHEET_EXPLOSIVE,
        Reason.MODEL_BULK_EXPLOSIVE,
        Reason.MODEL_AEROSOL,
        Reason.MODEL_LITHIUM_PACK,
    }
)
"""What the model takes a hot place for. Only findings carry them; the piece's own reason is `MODEL_ALARM`."""

_ABOUT_CONTENT = NAMED_BY_MODEL | {
    Reason.OPAQUE_AREA,
    Reason.RADIATION,
    Reason.MODEL_ALARM,
    Reason.ATTENTION_SCORE,
    Reason.NEW_FINDING,
}
