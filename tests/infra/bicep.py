"""Bicep files as trees, parsed with tree-sitter. What it does not understand is an error here."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))


@cache
def parsed(file: Path) -> Node:
    """The root of a file's tree; fails where the file is not Bicep."""
    return without_errors(file.read_text(encoding="utf-8"), file.name)


def without_errors(text: str, name: str) -> Node:
    root = _PARSER.parse(text.encode()).root_node
    for node in walk(root):
        assert not any((node.is_error, node.is_missing)), f"{name}, line {node.start_point[0] + 1}: {text_of(node)!r}"
    return root


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def text_of(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def named(node: Node) -> list[Node]:
    """The children that have a meaning."""
    return [child for child in node.children if child.is_named and child.type != "comment"]


def is_lambda(node: Node) -> bool:
    """Whether an expression begins with `name =>`."""
    while node.type != "lambda_expression" and node.children:
        node = node.children[0]
    return node.type == "lambda_expression"


def declarations(file: Path, kind: str) -> dict[str, Node]:
    """The file's declarations of a kind such as `parameter`, by name."""
    found = [node for node in parsed(file).children if node.type == f"{kind}_declaration"]
    return {text_of(named(node)[0]): node for node in found}


def default_of(parameter: Node) -> Node | None:
    """The expression after a parameter's `=`."""
    kinds = [child.type for child in parameter.children]
    return parameter.children[kinds.index("=") + 1] if "=" in kinds else None
