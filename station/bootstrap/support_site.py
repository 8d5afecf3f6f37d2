"""The site as somebody finds it who looks for a fault: perhaps with a broken configuration, perhaps without a database."""

import contextlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from station.bootstrap.redaction import Plain, Redaction, Words
from station.domain.errors import StationError, StoreError
from station.masking import is_secret_name
from station.settings import SHIPPED_DIRECTORY, Configuration, load, read, shipped_files
from station.settings.lane_file import LaneFile
from station.settings.station_file import LOOPBACK, StationFile
from station.storage.figures import Figures

LEFT_OUT = "[left out]"
_FILE_KEY = re.compile(r"(?:_files?|_dir|^model|^policy|^checklist|^devices|^recipe)$")
_BESIDE_KEYS = frozenset({"policy", "checklist", "devices", "recipe"})
_ENDPOINT = re.compile(r"^tcp:(?P<host>.+):\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportSite:
    """What is known of the site. `configuration` is None where it does not hold, and `trouble` says why.

    `values` are the files of the configuration as far as they can be read, by the name of the file that another one names.
    """

    path: Path
    configuration: Configuration | None
    trouble: StationError | None
    values: dict[str, dict[str, Any]]
    data_dir: Path


def find_site(path: Path) -> SupportSite:
    """Look at the configuration without insisting on anything. Never raises."""
    path = path.absolute()
    configuration, trouble = None, None
    try:
        configuration = load(path, demo=True)
    except StationError as error:
        trouble = error
    values: dict[str, dict[str, Any]] = {}
    main = _values(path)
    if main is not None:
        values["station.toml"] = main
        for name in dict.fromkeys(_named(main)):
            found = _values(path.parent / name)
            if found is not None:
                values[name] = found
    given = (main or {}).get("data_dir", "data")
    data_dir = configuration.data_dir if configuration is not None else path.parent / (given if isinstance(given, str) else "data")
    return SupportSite(path=path, configuration=configuration, trouble=trouble, values=values, data_dir=data_dir)


def words_for(site: SupportSite, *, redact: bool) -> Words:
    """How names and texts are written: as they are, or as pseudonyms that nobody can take back."""
    if not redact:
        return Plain()
    words = Redaction()
    hosts = {socket.gethostname(), *_hosts(site.values.get("station.toml", {}))}
    for values in site.values.values():
        hosts |= {found["host"] for text in _texts(values) if (found := _ENDPOINT.match(text)) is not None}
    for host in hosts - LOOPBACK:
        words.know("host", host)
    name = site.values.get("station.toml", {}).get("site")
    if isinstance(name, str):
        words.know("site", name)
    schemes = site.values.get("station.toml", {}).get("schemes", [])
    for pattern in [one.get("pattern") for one in schemes if isinstance(one, dict)] if isinstance(schemes, list) else []:
        with contextlib.suppress(re.error):
            words.know_numbering(str(pattern))
    # Of a database that cannot be read no name is known; what is not the program's own word is replaced all the same.
    with contextlib.suppress(StoreError, OSError), contextlib.closing(Figures(site.data_dir)) as figures:
        for kind, value in figures.names():
            words.know(kind, value)
    return words


def shown_configuration(site: SupportSite, words: Words) -> dict[str, Any]:
    """The configuration's files without secrets: what the station does not know as a key of its own is left out with its value."""
    known = _known_keys()
    return {words.text(name): _shown(values, "", site.path.parent, known, words) for name, values in site.values.items()}


def _shown(value: Any, key: str, beside: Path, known: frozenset[str], words: Words) -> Any:
    if isinstance(value, dict):
        strange = sum(name not in known for name in value)
        shown = {name: _shown(inner, name, beside, known, words) for name, inner in value.items() if name in known}
        return shown | ({"keys that the station does not know": strange} if strange else {})
    if isinstance(value, list | tuple):
        return [_shown(one, key, beside, known, words) for one in value]
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    if _FILE_KEY.search(key) and text:
        # Somebody may have written the secret itself where the name of its file belongs.
        there = (beside / text).exists()
        return words.text(text) if there or (key in _BESIDE_KEYS and text in _shipped_names()) else "[a file that is not there]"
    return LEFT_OUT if is_secret_name(key) else words.text(text)


def environment_names() -> list[str]:
    """The names of the station's variables that are set; never what is in them."""
    known = _known_keys()
    names = sorted(name for name in os.environ if name.startswith("KT1_"))
    return [name if all(part in known for part in name[4:].lower().split("__")) else LEFT_OUT for name in names]


def _known_keys() -> frozenset[str]:
    keys = set(_keys_of(StationFile)) | set(_keys_of(LaneFile))
    for name in shipped_files():
        keys |= set(_names(read(SHIPPED_DIRECTORY / name).values))
    return frozenset(keys)


def _keys_of(model: type[BaseModel]) -> set[str]:
    return {key for one in _models(model) for key in one.model_fields}


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    found = [model]
    for field in model.model_fields.values():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        found += [inner for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel) for inner in _models(kind)]
    return found


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for inner in value.values() for name in _names(inner))]
    return [name for one in value for name in _names(one)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _hosts(values: dict[str, Any]) -> set[str]:
    http, tracking = values.get("http", {}), values.get("tracking", {})
    found: set[str] = set()
    if isinstance(http, dict):
        found |= {text for text in (http.get("host"), *_texts(http.get("names", []))) if isinstance(text, str)}
    receiver = tracking.get("receiver") if isinstance(tracking, dict) else None
    if isinstance(receiver, str):
        try:
            found.add(urlsplit(receiver).hostname or "")
        except ValueError:
            found.add(receiver)
    return found - {""}


def _named(main: dict[str, Any]) -> list[str]:
    lanes = main.get("lanes", [])
    given = [main.get("policy"), main.get("checklist")]
    given += [lane.get(key) for lane in lanes if isinstance(lane, dict) for key in ("devices", "recipe")] if isinstance(lanes, list) else []
    return [name for name in given if isinstance(name, str)]


def _shipped_names() -> frozenset[str]:
    return frozenset(map(str, shipped_files()))


def _values(path: Path) -> dict[str, Any] | None:
    try:
        return read(path).values
    except StationError:
        return None
