"""The site's policy file: validated, and versioned by the hash of what it says."""

import hashlib
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from station.domain.errors import ConfigurationError
from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.domain.projection_rules import GREATEST_RATE, LEAST_RATE
from station.domain.vault import Retention
from station.settings.toml_file import TomlFile, read
from station.settings.validation import validate

_LEVELS = {"unmarked": "unmarked", "C": "c", "B": "b", "A": "a"}


class _Authorities(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    unmarked: Authority = Authority.OPERATOR
    C: Literal[Authority.OPERATOR, Authority.TWO_PEOPLE] = Authority.OPERATOR
    B: Literal[Authority.OPERATOR, Authority.TWO_PEOPLE] = Authority.OPERATOR
    A: Literal[Authority.TWO_PEOPLE] = Authority.TWO_PEOPLE


_Days = Annotated[int, Field(ge=1, le=3650)]


class _Retention(BaseModel):
    """Days per level after the day of the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unmarked: _Days = 90
    C: _Days = 30
    B: _Days = 14
    A: _Days = 7


class _PolicyFile(BaseModel):
    """Keys of `policy.toml`. Marked pieces may never be left to the model, and level A always takes two people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(default=0.05, gt=0, le=0.5)
    freeze_score: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    authority: _Authorities = _Authorities()
    retention: _Retention = _Retention()
    blind_first_read: frozenset[Secrecy] = frozenset({Secrecy.A, Secrecy.B})
    blind_sample: float = Field(default=0.02, ge=0, le=1)
    projection_rate: float = Field(default=0.0, ge=0, le=GREATEST_RATE)
    decision_window_s: float = Field(default=8.0, ge=1, le=60)
    extension_s: float = Field(default=45.0, ge=0, le=600)
    unannounced: Literal["hold", "accept"] = "hold"
    test_piece_max_age_h: float = Field(default=24.0, gt=0, le=24)
    viewing_limit_min: float = Field(default=20.0, ge=5, le=60)
    size_tolerance_mm: float = Field(default=40.0, gt=0, le=500)
    weight_tolerance_share: float = Field(default=0.25, ge=0, le=1)
    weight_tolerance_g: float = Field(default=15.0, ge=0, le=1000)
    radiation_limit_nsv_per_h: float = Field(default=400.0, gt=0, le=10_000)
    radiation_attention_nsv_per_h: float = Field(default=1000.0, gt=0, le=10_000)
    image_match_bound: float = Field(default=0.15, gt=0, lt=1)
    model_on_marked: Literal["advisory", "off"] = "advisory"
    unproved_model: bool = False


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(_plain(one) for one in value)
    return value


def policy_sha256(policy: Policy) -> str:
    """SHA-256 over the RFC 8785 form of every member but the hash itself."""
    members = {key: _plain(value) for key, value in asdict(policy).items() if key != "sha256"}
    return hashlib.sha256(rfc8785.dumps(members)).hexdigest()


def _hashed(policy: Policy) -> Policy:
    return replace(policy, sha256=policy_sha256(policy))


def load_policy(path: Path, *, demo: bool = False) -> Policy:
    """Read a policy.

    Args:
        path: the file.
        demo: only then may `unproved_model = true` stand in it.

    Raises:
        ConfigurationError: with file, line, key and what is allowed.
    """
    file = read(path)
    values = validate(_PolicyFile, file)
    if values.unproved_model and not demo:
        raise file.error(("unproved_model",), "True is not allowed here", "false; only the demo may waive the proof of a model")
    if 0 < values.projection_rate < LEAST_RATE:
        raise file.error(("projection_rate",), f"{values.projection_rate} is not allowed", f"0 (off), or {LEAST_RATE} to {GREATEST_RATE}")
    own = {"authority", "retention", "unannounced", "model_on_marked"}
    members: dict[str, Any] = {name: getattr(values, name) for name in _PolicyFile.model_fields if name not in own}
    policy = Policy(
        sha256="",
        authority_unmarked=values.authority.unmarked,
        authority_c=values.authority.C,
        authority_b=values.authority.B,
        authority_a=values.authority.A,
        retention=Retention(**{f"days_{name}": getattr(values.retention, level) for level, name in _LEVELS.items()}),
        hold_unannounced=values.unannounced == "hold",
        model_on_marked=values.model_on_marked == "advisory",
        **members,
    )
    return _hashed(policy)


def with_freeze_score(policy: Policy, freeze_score: float | None) -> Policy:
    """The policy with the model manifest's freeze score where the site gives none; its hash says so."""
    return policy if policy.freeze_score is not None or freeze_score is None else _hashed(replace(policy, freeze_score=freeze_score))


def refuse_unproved_model(policy: Policy, file: TomlFile, *, proved: bool, why_not: str) -> None:
    """Refuse a model as authority that is not proved on this site, once the model is known.

    Raises:
        ConfigurationError: `authority.*` says `model`, and neither the proof nor the demo's waiver is there.
    """
    if proved or policy.unproved_model:
        return
    for level, name in _LEVELS.items():
        if getattr(policy, f"authority_{name}") is Authority.MODEL:
            raise _not_proved(file, level, why_not)


def _not_proved(file: TomlFile, level: str, why_not: str) -> ConfigurationError:
    return file.error(("authority", level), f"'model' is not allowed: {why_not}", "operator, two_people; model only with a proved model")
