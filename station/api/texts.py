"""Everything that people read, in both languages, from one set of Fluent files for server and browser."""

from collections.abc import Mapping
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource
from fluent.syntax import ast

LANGUAGES = ("vi", "en")
"""Vietnamese first: it is what people get who did not choose."""

LOCALES_DIR = Path(__file__).parent / "locales"


class Texts:
    """The messages of both languages.

    Args:
        directory: holds one folder of `.ftl` files for each language.

    Raises:
        ValueError: a file is malformed, or a message is defined twice.
    """

    def __init__(self, directory: Path = LOCALES_DIR) -> None:
        self._bundles: dict[str, FluentBundle] = {}
        self._variables: dict[str, dict[str, frozenset[str]]] = {}
        for language in LANGUAGES:
            # Isolation marks would break identifiers and figures that people copy.
            bundle = FluentBundle([language], use_isolating=False)
            variables: dict[str, frozenset[str]] = {}
            for file in sorted((directory / language).glob("*.ftl")):
                resource = FluentResource(file.read_text(encoding="utf-8"))
                for message_id, names in _messages(resource, file).items():
                    if message_id in variables:
                        raise ValueError(f"{file}: message {message_id} is defined twice")
                    variables[message_id] = names
                bundle.add_resource(resource)
            self._bundles[language] = bundle
            self._variables[language] = variables

    def variables(self, language: str) -> Mapping[str, frozenset[str]]:
        """Every message id of a language with the variables that it takes."""
        return self._variables[language]

    def has(self, message_id: str) -> bool:
        """True when every language has the message."""
        return all(message_id in self._variables[language] for language in LANGUAGES)

    def text(self, language: str, message_id: str, **variables: object) -> str:
        """The message in that language; a message that nobody wrote shows its id, so that it is noticed.

        Raises:
            ValueError: the message could not be formatted with these variables.
        """
        bundle = self._bundles[language]
        if message_id not in self._variables[language]:
            return message_id
        pattern = bundle.get_message(message_id).value
        if pattern is None:
            return message_id
        value, errors = bundle.format_pattern(pattern, variables)
        if errors:
            raise ValueError(f"message {message_id}: {errors[0]}")
        return str(value)

    def for_browser(self, language: str) -> dict[str, str]:
        """All messages resolved, each variable left as `{name}` for the browser to fill in."""
        return {
            message_id: self.text(language, message_id, **{name: f"{{{name}}}" for name in names})
            for message_id, names in self._variables[language].items()
        }


def _messages(resource: ast.Resource, file: Path) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for entry in resource.body:
        if isinstance(entry, ast.Junk):
            raise ValueError(f"{file}: not a Fluent message: {entry.content!r}")  # noqa: TRY004 - the file is wrong, not a type
        if isinstance(entry, ast.Message):
            if entry.value is None or entry.id.name in found:
                raise ValueError(f"{file}: message {entry.id.name} is empty or defined twice")
            found[entry.id.name] = frozenset(_variables(entry.value, file))
    return found


def _variables(pattern: ast.Pattern, file: Path) -> list[str]:
    names = []
    for element in pattern.elements:
        if isinstance(element, ast.Placeable):
            if not isinstance(element.expression, ast.VariableReference):
                # The browser fills variables in and nothing more, so that both sides say the same.
                raise ValueError(f"{file}: only plain variables may stand in braces")  # noqa: TRY004
            names.append(element.expression.id.name)
    return names
