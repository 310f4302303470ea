"""The small faults that can be put into a file: each one changes one place of its syntax tree."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: By comparison: what it may be mistaken for.
_MISTAKEN: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Eq),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Eq),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OTHER_SIGN: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,  # not the other way round: that is mostly a union of types, which fails when it is imported
}


@dataclass(frozen=True)
class Mutation:
    """One fault: where it is, the old code, and the new code."""

    line: int
    old: str
    new: str
    tree: ast.Module  #: of the whole file, with the fault in it


def how_many(file: Path) -> int:
    """The number of faults that can be put into a file."""
    return sum(1 for _ in _places(_parsed(file)))


def mutation(file: Path, number: int) -> Mutation:
    """One of them, from 0: always the same for the same file. Texts are left alone: they are for people, and tests that
    repeat them find nothing."""
    tree = _parsed(file)
    node, change = list(_places(tree))[number]
    old, line = ast.unparse(node), node.lineno
    shown = change()
    return Mutation(line, _brief(old), _brief(ast.unparse(shown)), ast.fix_missing_locations(tree))


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _brief(code: str) -> str:
    one_line = " ".join(code.split())
    return one_line if len(one_line) <= 100 else f"{one_line[:97]}..."


Change = Callable[[], ast.AST]  #: makes the fault, and returns the node to show
Place = tuple[ast.expr | ast.stmt, Change]


def _places(tree: ast.Module) -> Iterator[Place]:
    for node in _code(tree):
        match node:
            case ast.Compare():
                yield from _comparisons(node)
            case ast.BoolOp():
                yield node, _set(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
            case ast.UnaryOp(op=ast.Not()):
                yield node, _set(node, "op", ast.UAdd(), show=node.operand, also=("operand", _truth(node.operand)))
            case ast.BinOp() if type(node.op) in _OTHER_SIGN and not _is_text(node):
                yield node, _set(node, "op", _OTHER_SIGN[type(node.op)]())
            case ast.Constant(value=bool()):
                yield node, _set(node, "value", not node.value)
            case ast.Constant(value=int() | float()):
                yield node, _set(node, "value", node.value + 1)  # type: ignore[operator]  # a number, by the pattern
            case ast.If() | ast.IfExp() | ast.While() if not isinstance(
                node.test, ast.Compare | ast.BoolOp | ast.UnaryOp
            ):
                yield node.test, _set(node, "test", ast.UnaryOp(ast.Not(), node.test), show=None)
            case ast.Return(value=ast.expr()) if not _is_none(node.value):
                yield node, _set(node, "value", ast.Constant(None))
        yield from _in_body(node)


def _code(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes but annotations, decorators and what only type checkers read. A dataclass that is no longer frozen
    behaves as before, for example: the type checker makes sure that nobody assigns to its fields."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name, value in reversed(list(ast.iter_fields(node))):
            if name in ("annotation", "returns", "type_params", "decorator_list") or _is_for_type_checkers(node):
                continue
            children = value if isinstance(value, list) else [value]
            waiting += [child for child in reversed(children) if isinstance(child, ast.AST)]


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _comparisons(node: ast.Compare) -> Iterator[Place]:
    for index, operator in enumerate(node.ops):
        for other in _MISTAKEN[type(operator)]:

            def change(index: int = index, other: type[ast.cmpop] = other) -> ast.AST:
                node.ops[index] = other()
                return node

            yield node, change


def _in_body(node: ast.AST) -> Iterator[Place]:
    """Statements that can be left out, or be another one."""
    for name in ("body", "orelse"):
        body = getattr(node, name, None)
        if not isinstance(body, list):  # of a lambda or a condition it is an expression
            continue
        for index, statement in enumerate(body):
            if isinstance(statement, ast.Continue):
                yield statement, _put(body, index, ast.Break())
            elif isinstance(statement, ast.Break):
                yield statement, _put(body, index, ast.Continue())
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                yield statement, _put(body, index, ast.Pass())


def _put(body: list[ast.stmt], index: int, statement: ast.stmt) -> Change:
    def change() -> ast.AST:
        body[index] = statement
        return statement

    return change


_SHOW_NODE = ast.Pass()


def _set(
    node: ast.AST,
    name: str,
    value: object,
    show: ast.AST | None = _SHOW_NODE,
    also: tuple[str, object] | None = None,
) -> Change:
    def change() -> ast.AST:
        setattr(node, name, value)
        if also is not None:
            setattr(node, *also)
        if show is _SHOW_NODE:
            return node
        return show if show is not None else getattr(node, name)

    return change


def _truth(operand: ast.expr) -> ast.expr:
    """Whether the operand is true, as a number: what `not` gave, the other way round."""
    return ast.Call(ast.Name("bool", ast.Load()), [operand], [])


def _is_none(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _is_text(node: ast.BinOp) -> bool:
    """Whether one side is plainly a text."""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )
