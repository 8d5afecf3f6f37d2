"""A piece's event as a CloudEvents 1.0 message whose data is an EPCIS 2.0 ObjectEvent (contract: tracking events). Pure.

Sources: CloudEvents 1.0.2, sections 3.1 (attributes) and JSON format 2; GS1 EPCIS 2.0, sections 7.4.1 (ObjectEvent) and 7.3.7 (sensor
elements); CBV 2.0, sections 7.1 and 7.2 (business steps and dispositions); UN/ECE Recommendation 20 (B13 = J/m², D54 = W/m²).
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from station.domain.clearance import Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.events import PieceEvent, PieceStatus
from station.domain.identifiers import certificate_id
from station.ports.store import RenderedEvent

CONTENT_TYPE = "application/cloudevents+json"
EPCIS_CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

_J_PER_M2_IN_ONE_MJ_PER_CM2 = 10.0
_W_PER_M2_IN_ONE_UW_PER_CM2 = 0.01

_S = PieceStatus
STEPS: MappingProxyType[PieceStatus, tuple[str, str]] = MappingProxyType(
    {
        _S.ARRIVED: ("receiving", "in_progress"),
        _S.SCREENED: ("inspecting", "in_progress"),
        _S.CLEARED: ("inspecting", "conformant"),
        _S.HELD: ("holding", "unavailable"),
        _S.REJECTED: ("inspecting", "non_conformant"),
        _S.FROZEN: ("inspecting", "non_conformant"),
        _S.HANDED_OVER: ("inspecting", "non_conformant"),
        _S.DISINFECTED: ("urn:kt1:bizstep:disinfecting", "conformant"),
        _S.RELEASED: ("staging_outbound", "available"),
        _S.RETURNED: ("shipping", "returned"),
        _S.ESCAPED: ("urn:kt1:bizstep:recalling", "recalled"),
        _S.CANCELLED: ("void_shipping", "inactive"),
    }
)
"""Business step and disposition of each status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRules:
    """What this site sends. `send_secrecy`, `send_destination`: the site's policy allows the secrecy level, the destination in events."""

    site: str
    send_secrecy: bool = False
    send_destination: bool = False

    def render(self, event: PieceEvent, sequence: int) -> RenderedEvent:
        """The message of an event; the same arguments give the same bytes."""
        message = cloud_event(event, sequence, self)
        body = json.dumps(message, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return RenderedEvent(event_id=message["id"], body=body)


def cloud_event(event: PieceEvent, sequence: int, rules: MessageRules) -> dict[str, Any]:
    """The CloudEvents 1.0 message of an event. `sequence` counts the piece's events over all its visits, from 1."""
    return {
        "specversion": "1.0",
        "id": f"{rules.site}:{event.piece_id}:{sequence}",
        "source": f"urn:kt1:site:{quote(rules.site)}",
        "subject": event.piece_id,
        "type": f"vn.kt1.piece.{event.status.value}.v1",
        "time": _utc(event.at),
        "datacontenttype": "application/json",
        "sequence": sequence,
        "visit": event.visit,
        "partitionkey": event.piece_id,
        "data": object_event(event, rules),
    }


def object_event(event: PieceEvent, rules: MessageRules) -> dict[str, Any]:
    """The EPCIS 2.0 ObjectEvent of an event, valid on its own.

    Status only: never an image, a score, a name or content. For a marked piece no reason that describes content is given, and an
    attention stop is called held, because it tells how the picture scored.
    """
    business_step, disposition = STEPS[event.status]
    marked = event.secrecy is not None
    outcome = Outcome.HELD.value if marked and event.outcome == Outcome.ATTENTION.value else event.outcome
    reasons = [reason.value for reason in event.reasons if not (marked and reason.describes_content)]
    data: dict[str, Any] = {
        "@context": [EPCIS_CONTEXT, {"kt1": "urn:kt1:ns:"}],
        "type": "ObjectEvent",
        "eventTime": _utc(event.at),
        "eventTimeZoneOffset": "+00:00",
        "epcList": [f"urn:kt1:piece:{quote(event.piece_id, safe='')}"],
        "action": "OBSERVE",
        "bizStep": business_step,
        "disposition": disposition,
        "bizLocation": {"id": f"urn:kt1:site:{quote(rules.site)}"},
        "kt1:reasons": reasons,
    }
    optional = {
        # A piece that was withdrawn before it came was read nowhere.
        "readPoint": {"id": f"urn:kt1:lane:{quote(rules.site)}:{quote(event.lane_id, safe='')}"} if event.lane_id else None,
        "kt1:outcome": outcome,
        "kt1:policySha256": event.policy_sha256,
        "kt1:modelSha256": event.model_sha256,
        "kt1:certificate": certificate_id(rules.site, event.piece_id, event.visit) if event.status is _S.RELEASED else None,
        "kt1:secrecy": event.secrecy.value if event.secrecy is not None and event.announced and rules.send_secrecy else None,
        "kt1:destination": event.destination if event.destination and rules.send_destination else None,
    }
    data.update({name: member for name, member in optional.items() if member is not None})
    if event.disinfection is not None:
        data["sensorElementList"] = [_sensor_element(event.disinfection, rules)]
    return data


def _sensor_element(result: DisinfectionResult, rules: MessageRules) -> dict[str, Any]:
    dose = {"type": "urn:kt1:sensor:uvc-dose", "uom": "B13", **_finite(value=result.dose_mj_per_cm2 * _J_PER_M2_IN_ONE_MJ_PER_CM2)}
    irradiance = {
        "type": "Irradiance",
        "uom": "D54",
        **_finite(
            minValue=result.min_irradiance_uw_per_cm2 * _W_PER_M2_IN_ONE_UW_PER_CM2,
            maxValue=result.max_irradiance_uw_per_cm2 * _W_PER_M2_IN_ONE_UW_PER_CM2,
        ),
    }
    return {
        "sensorMetadata": {
            "startTime": _utc(result.started_at),
            "endTime": _utc(result.ended_at),
            "deviceID": f"urn:kt1:device:{quote(rules.site)}:{quote(result.unit_id, safe='')}",
        },
        "sensorReport": [dose, irradiance],
    }


def _finite(**figures: float) -> dict[str, float]:
    # JSON has no NaN; a figure that is none is left out, and the disposition says what came of it.
    return {name: round(figure, 6) for name, figure in figures.items() if math.isfinite(figure)}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
