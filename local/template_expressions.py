"""The small part of ARM's expression language that templates here use."""

from __future__ import annotations

import json
import re
from typing import Any

TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_]\w*)|([(),.\[\]]))")


class Invalid(Exception):
    """The deployment is refused with ARM's `code` (and a target, when there is one)."""

    def __init__(self, code: str, message: str, target: str | None = None) -> None:
        """Keep the three parts of ARM's error."""
        super().__init__(message)
        self.code = code
        self.target = target


class Scope:
    """What expressions of one deployment may refer to."""

    def __init__(
        self, group_id: str, location: str, parameters: dict[str, Any], variables: dict[str, Any]
    ) -> None:
        """Keep the group's id and location and the values by name."""
        self.group_id = group_id
        self.location = location
        self.parameters = parameters
        self.variables = variables

    def resolve(self, value: Any) -> Any:
        """Return `value` with all its `[...]` expressions worked out. Raises Invalid."""
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str) and value.startswith("[["):
            return value[1:]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            return _Expression(value[1:-1], self).value()
        return value

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return the value of a template function. Raises Invalid for unknown ones."""
        lower = name.lower()
        if lower in ("parameters", "variables"):
            known = self.parameters if lower == "parameters" else self.variables
            if arguments[0] not in known:
                raise Invalid(
                    "InvalidTemplate",
                    f"The template {lower[:-1]} '{arguments[0]}' is not found.",
                )
            return (
                known[arguments[0]] if lower == "parameters" else self.resolve(known[arguments[0]])
            )
        if lower == "concat":
            return "".join(str(item) for item in arguments)
        if lower == "equals":
            return arguments[0] == arguments[1]
        if lower == "if":
            return arguments[1] if arguments[0] else arguments[2]
        if lower == "json":
            return json.loads(arguments[0])
        if lower == "resourceid":
            return self._resource_id(arguments)
        if lower == "resourcegroup":
            name_of_group = self.group_id.rpartition("/")[2]
            return {"location": self.location, "id": self.group_id, "name": name_of_group}
        raise Invalid("InvalidTemplate", f"The template function '{name}' is not valid.")

    def _resource_id(self, arguments: list[Any]) -> str:
        kind, names = str(arguments[0]), [str(item) for item in arguments[1:]]
        namespace, *types = kind.split("/")
        if len(types) != len(names):
            raise Invalid(
                "InvalidTemplate", f"resourceId('{kind}', ...) has a wrong segment count."
            )
        tail = "/".join(f"{t}/{n}" for t, n in zip(types, names, strict=True))
        return f"{self.group_id}/providers/{namespace}/{tail}"


class _Expression:
    """A parser of one expression."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._tokens = self._split(text)
        self._scope = scope
        self._text = text

    def value(self) -> Any:
        result = self._term()
        if self._tokens:
            raise self._broken()
        return result

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if not found:
                raise Invalid("InvalidTemplate", f"Unable to parse language expression '{text}'.")
            kinds = ("text", "number", "name", "sign")
            kind = kinds[(found.lastindex or 1) - 1]
            tokens.append((kind, found[found.lastindex or 1]))
            at = found.end()
        return tokens

    def _broken(self) -> Invalid:
        return Invalid("InvalidTemplate", f"Unable to parse language expression '{self._text}'.")

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise self._broken()
        return self._tokens.pop(0)

    def _term(self) -> Any:
        kind, text = self._next()
        if kind == "text":
            return text.replace("''", "'")
        if kind == "number":
            return int(text)
        if kind != "name" or self._next() != ("sign", "("):
            raise self._broken()
        arguments: list[Any] = []
        while self._tokens and self._tokens[0] != ("sign", ")"):
            arguments.append(self._term())
            if self._tokens and self._tokens[0] == ("sign", ","):
                self._tokens.pop(0)
        self._next()
        result = self._scope.call(text, arguments)
        while self._tokens and self._tokens[0] == ("sign", "."):
            self._tokens.pop(0)
            member = self._next()[1]
            if not isinstance(result, dict) or member not in result:
                raise self._broken()
            result = result[member]
        return result
