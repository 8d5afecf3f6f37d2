"""Keys of `station.toml`."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from station.domain.identifiers import CheckRule

SITE_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
"""How sites are named."""

_STRICT = ConfigDict(extra="forbid", frozen=True)


def _is_pattern(text: str) -> str:
    try:
        re.compile(text, re.ASCII)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    return text


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Http(BaseModel):
    """Where the console and the interface listen: in the open on the loopback alone, anywhere else by TLS.

    `names` are the host names and addresses under which they may be called besides `host`; key files lie beside this file.
    """

    model_config = _STRICT

    host: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9.:-]{1,253}$")
    port: int = Field(default=8080, ge=0, le=65535)
    names: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")], ...] = Field(default=(), max_length=16)
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None


class Tracking(BaseModel):
    """The central tracking system. Empty `receiver` sends nothing and keeps every event; files lie beside this file.

    Every key of `signing_key_file` and `further_signing_key_files` and every secret of `secret_files` signs each event, so that the
    receiver can change from one to another. `token_file` holds the bearer token of an EPCIS repository that wants one.
    """

    model_config = _STRICT

    receiver: str = Field(default="", pattern=r"^(https?://[^\s/@]+(/\S*)?)?$")
    transport: Literal["webhook", "epcis"] = "webhook"
    signing_key_file: Path = Path("keys/tracking-signing.key")
    further_signing_key_files: tuple[Path, ...] = Field(default=(), max_length=3)
    secret_files: tuple[Path, ...] = Field(default=(), max_length=3)
    token_file: Path | None = None
    receiver_key_file: Path = Path("keys/tracking-receiver.pub")
    receipts: Literal["signed", "none"] = "signed"
    send_secrecy: bool = False
    send_destination: bool = False
    timeout_s: float = Field(default=5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        if self.transport == "epcis" and self.receipts == "signed":
            raise ValueError('receipts = "none" with transport = "epcis": a repository signs no receipts')
        return self


class Audit(BaseModel):
    """The key that signs the audit log's checkpoints; its public half lies beside it as `.pub`."""

    model_config = _STRICT

    signing_key_file: Path = Path("keys/audit-signing.key")


class Screening(BaseModel):
    """The screening process of each lane. `model` is the folder of the model as delivered; empty: the one that the station ships with.

    `trusted_keys` are base64 of raw Ed25519 public keys that may sign a delivered model, besides the project's. With `signing_key_file`
    supervisors sign what was fitted here; what they signed off goes before `model`.
    """

    model_config = _STRICT

    model: str = ""
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    trusted_keys: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")], ...] = Field(default=(), max_length=8)
    signing_key_file: Path = Path("keys/model-signing.key")
    memory_mb: int = Field(default=1500, ge=256, le=65536)


class Storage(BaseModel):
    """The system of record. Below `free_warning_mb`, also of the images' disk, people are called; below `free_floor_mb` all lanes hold.

    `reserve_mb` is kept to be able to say so.
    """

    model_config = _STRICT

    free_warning_mb: int = Field(default=2048, ge=1)
    free_floor_mb: int = Field(default=512, ge=1)
    reserve_mb: int = Field(default=16, ge=1)


class Vault(BaseModel):
    """The image vault. `key_dir` holds the keys of the images, beside this file; it must lie outside `data_dir` and in no backup."""

    model_config = _STRICT

    key_dir: Path = Path("image-keys")


class Calendar(BaseModel):
    """How the site reckons in reports.

    Its clock is `utc_offset` ahead of UTC all the year, and the day's first shift of 8 hours begins at `first_shift_hour`.
    """

    model_config = _STRICT

    utc_offset: str = Field(default="+07:00", pattern=r"^[+-](0[0-9]|1[0-3]):[0-5][0-9]$")
    first_shift_hour: int = Field(default=6, ge=0, le=7)


class NumberingScheme(BaseModel):
    """One way in which pieces are numbered besides UPU S10."""

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z0-9-]{1,16}$")
    pattern: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_pattern)]
    check: CheckRule = CheckRule.NONE


class LaneEntry(BaseModel):
    """One lane: its devices and geometry, and what disinfects its pieces."""

    model_config = _STRICT

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,15}$")
    devices: Path
    recipe: Path


class StationFile(BaseSettings):
    """The whole of `station.toml`. `KT1_SITE`, `KT1_HTTP__PORT` and so on in the environment fill keys that the file leaves out."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="KT1_", env_nested_delimiter="__")

    site: str = Field(pattern=SITE_PATTERN)
    data_dir: Path = Path("data")
    policy: Path = Path("policy.toml")
    checklist: Path = Path("checklists/freeze.toml")
    speed: float = Field(default=1.0, gt=0, le=4)
    http: Http = Http()
    tracking: Tracking = Tracking()
    audit: Audit = Audit()
    screening: Screening = Screening()
    storage: Storage = Storage()
    vault: Vault = Vault()
    calendar: Calendar = Calendar()
    schemes: tuple[NumberingScheme, ...] = ()
    lanes: tuple[LaneEntry, ...] = Field(min_length=1, max_length=16)
