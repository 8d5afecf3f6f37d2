"""Names for other eyes: what may not leave the house becomes a pseudonym, and a text keeps only words that the program itself uses.

A pseudonym is the same for the same name within one `Redaction` and says nothing outside of it: the key by which it is made is never kept.
"""

import hashlib
import hmac
import ipaddress
import itertools
import os
import re
import sysconfig
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import station
from station.domain.identifiers import MAX_LENGTH
from station.masking import mask

ABOUT_A_PIECE = "[left out: it is about one piece]"
_LONGEST_NUMBER = 6
_SPECIAL = re.compile(
    r"(?P<piece>(?<![\w-])(?:[A-Za-z]{2}[0-9]{9}[A-Za-z]{2}|(?:LOCAL|TEST)-[\w-]+)(?!\w))"
    r"|(?P<key>(?<![\w-])\d{4}-\d{2}-\d{2}-(?:A|B|C|unmarked)-[0-9a-f]{8}(?!\w))"
    r"|(?P<address>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|(?<![\w:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:]))"
    r"|(?P<long>(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8})"
    r"|(?P<mail>[\w.+-]+@[\w.-]+)"
)
_WORD = re.compile(r"\w+")
_CODE = re.compile(rf"(?<![!-~])[!-~]{{1,{MAX_LENGTH}}}(?![!-~])|[^\s\"'(),;:=/\[\]{{}}<>?&#]{{1,{MAX_LENGTH}}}")
_FIGURE = re.compile(r"\d{1,2}T\d{1,2}|\d{1,6}(?:s|ms|h|min|d|Z|B|kB|KiB|MB|MiB|GB|GiB|mm|g|V|kV|mA)?")
_GAP = 3
_FRAME = re.compile(r'^\s*(?:[|+\- ]*)File "(?P<path>[^"\r\n]+)", line (?P<line>\d+), in ')
_RAISED = re.compile(r"^[\s|+-]*(?P<kind>[A-Za-z_][\w.]*)(?P<rest>(?::\s.*)?)$", re.DOTALL)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - not listened on


class Words(Protocol):
    """How names and texts are written into a bundle."""

    redacted: bool

    def name(self, kind: str, value: str) -> str:
        """A name of something: of a piece, a person, of a host."""
        ...

    def names_a_piece(self, text: str) -> bool:
        """True when what the text says must not be told, because it is about one piece."""
        ...

    def text(self, text: str) -> str:
        """A text that a program or a person wrote."""
        ...

    def trace(self, text: str, *, about_piece: bool) -> str:
        """A traceback."""
        ...


class Plain:
    """Names and texts as they are, without secrets: for use inside the house."""

    redacted = False

    def name(self, kind: str, value: str) -> str:
        """The name itself."""
        del kind
        return mask(value)

    def names_a_piece(self, text: str) -> bool:
        """Nothing needs to be left out."""
        del text
        return False

    def text(self, text: str) -> str:
        """The text without secrets."""
        return mask(text)

    def trace(self, text: str, *, about_piece: bool) -> str:
        """The whole traceback."""
        del about_piece
        return mask(text)


class Redaction:
    """Names as pseudonyms, and texts with nothing in them that the program does not say by itself.

    Args:
        key: 32 random bytes that nobody keeps.
    """

    redacted = True

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or os.urandom(32)
        self._known: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        self._numbering: list[re.Pattern[str]] = []

    def know(self, kind: str, value: str) -> None:
        """A name that texts may have in them."""
        words = tuple(_folded(value))
        if words:
            known = self._known.setdefault(words[0], [])
            known.append((words, kind, value))
            known.sort(key=lambda one: -len(one[0]))

    def know_numbering(self, pattern: str) -> None:
        """How the site numbers its pieces; what has that form is a piece, known or not. Raises `re.error`."""
        self._numbering.append(re.compile(pattern, re.ASCII))

    def name(self, kind: str, value: str) -> str:
        """The name's pseudonym: its kind and eight hex digits."""
        if not value:
            return ""
        form = unicodedata.normalize("NFC", value).casefold().strip()
        return f"{kind}-{hmac.digest(self._key, f'{kind}:{form}'.encode(errors='replace'), hashlib.sha256).hex()[:8]}"

    def names_a_piece(self, text: str) -> bool:
        """True when a piece's number, known or of a usual form, stands in it."""
        return any(kind == "piece" for _, kind in self._parts(mask(text)))

    def text(self, text: str) -> str:
        """The text with pseudonyms in it; nothing but that it is left out where it is about one piece."""
        parts = list(self._parts(mask(text)))
        return ABOUT_A_PIECE if any(kind == "piece" for _, kind in parts) else "".join(shown for shown, _ in parts)

    def trace(self, text: str, *, about_piece: bool) -> str:
        """Where it failed (files of this installation and their lines), what was raised, and what of its message may be told."""
        lines = []
        for line in mask(text).splitlines():
            frame, raised = _FRAME.match(line), _RAISED.match(line)
            if frame is not None:
                lines.append(f"  {_place(frame['path'])}:{frame['line']}")
            elif raised is not None and raised["kind"].rpartition(".")[2] in _exception_names():
                rest = raised["rest"]
                told = ABOUT_A_PIECE if rest and about_piece else self.text(rest.removeprefix(": ")) if rest else ""
                lines.append(f"{raised['kind'].rpartition('.')[2]}: {told}" if told else raised["kind"].rpartition(".")[2])
            elif line.startswith(("Traceback (", "The above exception was", "During handling of")):
                lines.append(self.text(line))
        return "\n".join(lines)

    def _parts(self, text: str) -> Iterator[tuple[str, str]]:
        """The text in pieces, each as it is shown, and of which kind it was."""
        text = unicodedata.normalize("NFC", text)
        if self._numbering and any(form.fullmatch(one.rstrip(".")) for one in _CODE.findall(text) for form in self._numbering):
            yield "", "piece"
        end = 0
        for found in _SPECIAL.finditer(text):
            yield from self._words(text[end : found.start()])
            yield from self._special(found)
            end = found.end()
        yield from self._words(text[end:])

    def _special(self, found: re.Match[str]) -> Iterator[tuple[str, str]]:
        value = found[0]
        match found.lastgroup:
            case "piece":
                yield self.name("piece", value), "piece"
            case "key":
                yield f"key-of-{value[:10]}", "key"
            case "address":
                yield value if value in _LOOPBACK else self.name("address", value), "address"
            case "long" if _is_long_address(value.rstrip(":")) or _is_long_address(value):
                yield value if value in _LOOPBACK else self.name("address", value), "address"
            case "mail":
                yield self.name("mail", value), "mail"
            case _:
                yield from self._words(value)

    def _words(self, text: str) -> Iterator[tuple[str, str]]:
        words = list(_WORD.finditer(text))
        at, end = 0, 0
        while at < len(words):
            yield text[end : words[at].start()], ""
            known = self._known_at(words, at)
            length, shown, kind = known or (1, self._word(words[at][0]), "")
            at += length
            end = words[at - 1].end()
            yield shown, kind
        yield text[end:], ""

    def _known_at(self, words: list[re.Match[str]], at: int) -> tuple[int, str, str] | None:
        for known, kind, value in self._known.get(words[at][0].casefold(), ()):
            run = words[at : at + len(known)]
            near = all(after.start() - before.end() <= _GAP for before, after in itertools.pairwise(run))
            if near and tuple(word[0].casefold() for word in run) == known:
                return len(known), self.name(kind, value), kind
        return None

    def _word(self, word: str) -> str:
        if word.isdecimal():
            return word if len(word) <= _LONGEST_NUMBER and word.isascii() else "[number]"
        if _FIGURE.fullmatch(word) or all(part in _vocabulary() for part in word.casefold().split("_") if part):
            return word
        return self.name("word", word)


def _folded(value: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(unicodedata.normalize("NFC", value))]


def _is_long_address(text: str) -> bool:
    """True for an address of IP version 6; times of day look like one until they are read."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _place(path: str) -> str:
    """A file of the program or of what it is made with, by its place in there."""
    asked = Path(path)
    for root in (Path(station.__file__).parents[1], *(Path(sysconfig.get_path(name)) for name in ("purelib", "stdlib"))):
        if asked.suffix == ".py" and asked.is_relative_to(root) and ".." not in asked.parts and asked.is_file():
            return str(asked.relative_to(root))
    return "a file elsewhere"


@cache
def _exception_names() -> frozenset[str]:
    """The names of all kinds of exceptions that this process knows."""
    names: set[str] = set()
    waiting: list[type[BaseException]] = [BaseException]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ not in names:
            names.add(kind.__name__)
        waiting += [one for one in kind.__subclasses__() if one.__name__ not in names]
    return frozenset(names)


@cache
def _vocabulary() -> frozenset[str]:
    """Every word that the program uses: in its code, its texts and its shipped configuration, and what the system says of errors."""
    root = Path(station.__file__).parent
    texts = [os.strerror(number) for number in range(1, 134)] + sorted(_exception_names())
    for pattern in ("**/*.py", "**/locales/en/*.ftl", "config/**/*.toml"):
        # The demo's people have names.
        texts += [path.read_text(encoding="utf-8") for path in root.glob(pattern) if "demo" not in path.relative_to(root).parts]
    # Vietnamese words are names of people and places too.
    return _OTHERS | {word for text in texts for word in re.findall(r"[^\W_]+", text.casefold()) if word.isascii()}


_OTHERS = frozenset(
    re.findall(
        r"[a-z]+",
        "attempts connection connections refused reset peer timed database disk image malformed locked busy schema file not is a full "
        "readonly constraint failed host name service known temporary failure resolution certificate verify self signed expired "
        "handshake ssl tls eof serial port could open exclusively lock modbus response exception illegal slave device busy gateway "
        "server client http bad request",
    )
)
"""Words of the libraries that speak of sockets, disks, wires and certificates."""
