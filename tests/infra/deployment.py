"""Computes what deploying a Bicep file would create, as far as our files need it. An interpreter of our own, since only
the Bicep compiler turns these files into ARM JSON, and we found no package of PyPI or npm that contains it: those named
after it call it, or only parse. What only Azure can know, such as an identity's principal id, is a `Runtime` text that
names it. Everything that these files do not use is an error, so nothing is silently ignored.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.bicep import declarations, default_of, is_lambda, named, parsed, text_of, walk, without_errors
from tests.infra.deployed import (
    Deployed,
    RefusedError,
    Resource,
    Runtime,
    Scope,
    Skipped,
    each_text,
    known_at_the_start,
    like,
)
from tests.infra.verified_modules import PUBLIC, VERIFIED

_TIGHT = ("member_expression", "subscript_expression")
_LOOSE = ("binary_expression", "ternary_expression", "unary_expression")
_FUNCTION = "user_defined_function"
_GUIDS = uuid.UUID("9f0c2a55-0d2e-4f43-8a3c-6b1c3d1f7f10")


def deploy(file: Path, scope: Scope, parameters: Mapping[str, Any]) -> Deployed:
    """What deploying the file with these parameters makes. Fails for a parameter that is unknown or missing."""
    known = declarations(file, "parameter")
    unknown = set(parameters) - set(known)
    assert not unknown, f"{file.name} has no parameter {', '.join(unknown)}"
    return _Deployment(file, scope, each_text(dict(parameters), "".join)).run(known)


class _Deployment:
    """One file, evaluated from top to bottom on demand."""

    def __init__(self, file: Path, scope: Scope, parameters: Mapping[str, Any]) -> None:
        self._file = file
        self._scope = scope
        self._names: dict[str, Any] = dict(parameters)
        self._declared: dict[str, Node] = {}
        self._functions = {text_of(named(node)[0]): node for node in parsed(file).children if node.type == _FUNCTION}
        self._resources: list[Resource] = []

    def run(self, parameters: Mapping[str, Node]) -> Deployed:
        for name, parameter in parameters.items():
            default = default_of(parameter)
            if name not in self._names:
                assert default is not None, f"{self._file.name} needs the parameter {name}"
                self._names[name] = self._value(default, {})
        for node in parsed(self._file).children:
            if node.type == "import_functionality":
                self._import(node)
        for kind in ("variable", "resource", "module"):
            self._declared |= declarations(self._file, kind)
        for name in list(self._declared):
            self._named(name)
        outputs = {
            name: self._value(node.children[-1], {}) for name, node in declarations(self._file, "output").items()
        }
        return Deployed(self._scope, self._resources, outputs)

    def _import(self, node: Node) -> None:
        names = [text_of(child) for child in node.children if child.type == "identifier"]
        file = self._file.parent / self._text(next(child for child in node.children if child.type == "string"), {})
        variables = declarations(file, "variable")
        for name in names:
            if name in variables:
                self._names[name] = self._value(variables[name].children[-1], {})
            else:
                assert any(text_of(child) == name for child in walk(parsed(file))), f"{file.name} exports no {name}"

    def _named(self, name: str) -> Any:
        """The value of a name of the file."""
        if name not in self._names:
            assert name in self._declared, f"{self._file.name}: nothing is called {name}"
            node = self._declared.pop(name)
            make = {"resource_declaration": self._resource, "module_declaration": self._module}.get(node.type)
            if make is None:
                self._names[name] = self._value(node.children[-1], {})
            else:
                what = self._text(next(child for child in node.children if child.type == "string"), {})
                existing = any(child.type == "existing" for child in node.children)
                self._names[name] = self._each(node.children[-1], {}, lambda body: make(what, body, existing))
        return self._names[name]

    def _each(self, node: Node, names: Mapping[str, Any], make: Callable[[dict[str, Any]], Any]) -> Any:
        """Create one, none or a list of what the right side of a declaration says."""
        if node.type == "for_statement":
            return [self._each(body, {**names, **more}, make) for body, more in self._rounds(node, names)]
        if node.type == "if_statement":
            condition, body = named(node)
            return self._each(body, names, make) if self._value(condition, names) else Skipped()
        return make(self._value(node, names))

    def _resource(self, kind: str, body: dict[str, Any], existing: bool) -> Resource:
        known_at_the_start(kind, {key: value for key, value in body.items() if key != "properties"})
        kind = kind.partition("@")[0]
        above, scope = body.get("parent"), body.get("scope")
        if above is not None:
            path = f"{above.id}/{kind.rpartition('/')[2]}"
        elif kind == "Microsoft.Resources/resourceGroups":
            path = f"{self._scope.id}/resourceGroups"
        else:
            path = f"{(scope or self._scope).id}/providers/{kind}"
        made = Resource(kind, f"{path}/{body['name']}", existing, body)
        if not existing:
            self._resources.append(made)
        return made

    def _module(self, path: str, body: dict[str, Any], _existing: bool) -> Deployed:
        scope = body.get("scope", self._scope)
        if isinstance(scope, Resource):
            scope = Scope(self._scope.subscription, scope.name)
        known_at_the_start(path, {key: value for key, value in body.items() if key != "params"})
        assert len(body["name"]) <= 64, f"{path}: ARM takes no longer name than 64 characters: {body['name']}"
        if path.startswith(PUBLIC):
            return self._verified_module(path, scope, body["params"])
        made = deploy(self._file.parent / path, scope, body.get("params", {}))
        self._resources += made.resources
        return replace(made, outputs=each_text(made.outputs, Runtime))

    def _verified_module(self, path: str, scope: Scope, parameters: Mapping[str, Any]) -> Deployed:
        """A module of Microsoft's, whose file is not here: what it creates has its parameters as properties."""
        module = VERIFIED[path]
        unknown = set(parameters) - module.parameters
        assert not unknown, f"{path} has no parameter {', '.join(unknown)}"
        assert module.required <= set(parameters), path
        made = Resource(
            module.type, f"{scope.id}/providers/{module.type}/{parameters['name']}", False, {"properties": parameters}
        )
        known_at_the_start(path, {"name": made.name})
        self._resources.append(made)
        return Deployed(scope, [made], {"resourceId": Runtime(made.id)})

    # --- expressions ---

    def _value(self, node: Node, names: Mapping[str, Any]) -> Any:
        match node.type:
            case "string":
                return self._text(node, names)
            case "number":
                return int(text_of(node))
            case "boolean":
                return text_of(node) == "true"
            case "null":
                return None
            case "identifier":
                name = text_of(node)
                return names[name] if name in names else self._named(name)
            case "object":
                return {self._key(key, names): self._value(value, names) for key, value in map(named, named(node))}
            case "array":
                return [self._value(item, names) for item in named(node)]
            case "parenthesized_expression":
                return self._value(named(node)[0], names)
            case "for_statement":
                return [self._value(body, {**names, **more}) for body, more in self._rounds(node, names)]
            case _:
                return self._operation(node, names)

    def _operation(self, node: Node, names: Mapping[str, Any]) -> Any:
        parts = named(node)
        if node.type in _TIGHT and parts[0].type in _LOOSE:
            return self._value(self._bound_tightly(node, named(parts[0])[-1]), names)
        match node.type:
            case "member_expression":
                return self._member(self._value(parts[0], names), text_of(parts[1]), ".?" in text_of(node))
            case "subscript_expression":
                return self._value(parts[0], names)[self._value(parts[1], names)]
            case "unary_expression":
                assert text_of(node).startswith("!"), text_of(node)
                return not self._value(parts[0], names)
            case "ternary_expression":
                return self._value(parts[1 if self._value(parts[0], names) else 2], names)
            case "binary_expression":
                return self._binary(node, parts, names)
            case "call_expression":
                return self._call(text_of(parts[0]), named(parts[1]), names)
        raise AssertionError(f"{self._file.name}: {node.type} is not understood: {text_of(node)}")

    def _binary(self, node: Node, parts: list[Node], names: Mapping[str, Any]) -> Any:
        operator = node.child_by_field_name("operator")
        assert operator is not None
        first = named(parts[0])[0] if parts[0].type in _TIGHT else parts[0]
        assert first.type not in _LOOSE, f"{self._file.name}: {text_of(node)} wants parentheses"
        left = self._value(parts[0], names)
        right: Callable[[], Any] = lambda: self._value(parts[1], names)  # noqa: E731  # read only where it counts
        match text_of(operator):
            case "==":
                return left == right()
            case "!=":
                return left != right()
            case "&&":
                return left and right()
            case "||":
                return left or right()
            case "??":
                return right() if left is None else left
            case "+":
                return left + right()
        raise AssertionError(f"{self._file.name}: {text_of(operator)} is not understood")

    def _member(self, value: Any, member: str, may_be_missing: bool) -> Any:
        assert not isinstance(value, Skipped), f"{self._file.name}: .{member} of what is not deployed"
        match value:
            case Deployed():
                assert member == "outputs", member
                return value.outputs
            case Resource():
                return value.value(member)
            case Runtime():
                return Runtime(f"{value}.{member}")
            case Scope():
                return {"id": value.id, "subscriptionId": value.subscription, "name": value.resource_group}[member]
        return value.get(member) if may_be_missing else value[member]

    def _text(self, node: Node, names: Mapping[str, Any]) -> str:
        written = []
        for part in named(node):
            match part.type:
                case "string_content":
                    written.append(text_of(part))
                case "escape_sequence":
                    written.append(text_of(part)[1:])
                case _:
                    value = self._value(named(part)[0], names)
                    written.append(value if isinstance(value, str) else str(value))
        return like(written, "".join(written))

    def _key(self, node: Node, names: Mapping[str, Any]) -> str:
        return self._text(node, names) if node.type == "string" else text_of(node)

    def _rounds(self, node: Node, names: Mapping[str, Any]) -> Iterator[tuple[Node, dict[str, Any]]]:
        head, items, body = named(node)
        variables = [text_of(child) for child in named(head)] or [text_of(head)]
        for index, item in enumerate(self._value(items, names)):
            yield body, dict(zip(variables, (item, index), strict=False))

    def _call(self, function: str, arguments: list[Node], names: Mapping[str, Any]) -> Any:
        values: list[Any] = [
            self._lambda(node, names) if is_lambda(node) else self._value(node, names) for node in arguments
        ]
        if function in self._functions:
            return self._own(self._functions[function], values)
        match function, values:
            case "loadTextContent", [name]:
                return (self._file.parent / name).read_text(encoding="utf-8")
            case "fail", [message]:
                raise RefusedError(message)
            case "split", [text, separator]:
                return text.split(separator)
            case "join", [items, separator]:
                return separator.join(items)
            case "length", [value]:
                return len(value)
            case "toUpper", [text]:
                return text.upper()
            case "replace", [text, old, new]:
                return text.replace(old, new)
            case "take", [text, length]:
                return like([text], text[:length])
            case "empty", [value]:
                return not value
            case _:
                return self._collection(function, values)

    def _collection(self, function: str, values: list[Any]) -> Any:
        match function, values:
            case "contains", [items, item]:
                return item in items
            case "last", [items]:
                return items[-1]
            case "concat", lists:
                return [item for each in lists for item in each]
            case "map", [items, change]:
                return [change(item) for item in items]
            case "filter", [items, holds]:
                return [item for item in items if holds(item)]
            case "toObject", [items, key, value]:
                return {key(item): value(item) for item in items}
            case "union", objects:
                return {key: value for each in objects for key, value in each.items()}
        return self._azure(function, values)

    def _own(self, function: Node, values: list[Any]) -> Any:
        """What a function of the file returns. It knows only its parameters."""
        parameters = next(child for child in function.children if child.type == "parameters")
        names = [text_of(named(each)[0]) for each in named(parameters)]
        return self._value(function.children[-1], dict(zip(names, values, strict=True)))

    def _azure(self, function: str, values: list[Any]) -> Any:
        match function, values:
            case "uniqueString", texts:
                return like(texts, hashlib.sha256("|".join(texts).encode()).hexdigest()[:13])
            case "guid", texts:
                return like(texts, str(uuid.uuid5(_GUIDS, "|".join(texts))))
            case "subscription", []:
                return Scope(self._scope.subscription)
            case "subscription", [subscription]:
                return Scope(subscription)
            case "resourceGroup", []:
                return self._scope
            case "resourceGroup", [subscription, group]:
                return Scope(subscription, group)
            case "subscriptionResourceId", [kind, name]:
                return f"/subscriptions/{self._scope.subscription}/providers/{kind}/{name}"
            case (("tenant" | "environment"), []):
                return Runtime(f"<{function}>")
        raise AssertionError(f"{self._file.name}: {function} with {len(values)} arguments is not understood")

    def _bound_tightly(self, node: Node, operand: Node) -> Node:
        """The grammar takes `a == b.c` for `(a == b).c`: the expression anew, with parentheses around `b.c`."""
        written, at = text_of(node), len(node.text or b"") - (node.end_byte - operand.start_byte)
        (declared,) = without_errors(f"var value = {written[:at]}({written[at:]})", self._file.name).children
        return declared.children[-1]

    def _lambda(self, node: Node, names: Mapping[str, Any]) -> Callable[[Any], Any]:
        """The grammar binds `=>` too tightly, so what follows it is parsed again as an expression of its own."""
        variable, _, body = text_of(node).partition("=>")
        (declared,) = without_errors(f"var body = {body}", self._file.name).children
        return lambda item: self._value(declared.children[-1], {**names, variable.strip(): item})
