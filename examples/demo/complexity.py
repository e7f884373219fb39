"""Complexity figures per function, from the syntax tree.

Cyclomatic complexity is McCabe's, counted as one plus the decisions: ``if``, ``elif``, the ternary, loops,
``except``, each ``case``, each ``for`` and ``if`` of a comprehension, and each further operand of ``and`` and ``or``.
A nested function or class stands for itself and adds nothing to the function around it; a lambda belongs to the
function that it stands in.
"""

import ast
from typing import NamedTuple

_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_BLOCKS = frozenset(
    {ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Match, ast.Try}
    | {getattr(ast, "TryStar", ast.Try)}
)
_DECIDING_STATEMENTS = frozenset(
    {ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case}
)

_DECIDING_EXPRESSIONS = frozenset({ast.IfExp, ast.BoolOp, ast.comprehension})


def _kinds(*bases: type[ast.AST]) -> frozenset[type[ast.AST]]:
    """Return all node types below `bases`, themselves included."""
    below = {kind for base in bases for kind in base.__subclasses__()}
    return frozenset(bases) | (_kinds(*below) if below else frozenset())


# The visit asks one set about each child, because it sees millions: statements and what holds some of them, then all
# else that can hold a decision. Names, constants and contexts can't, and are more than half of a tree.
_STATEMENTS = _kinds(ast.stmt, ast.ExceptHandler, ast.match_case)
_EXPRESSIONS = _kinds(
    ast.expr, ast.comprehension, ast.arguments, ast.keyword, ast.withitem, ast.pattern
) - _kinds(ast.Name, ast.Constant)


class Function(NamedTuple):
    """The figures of one function: `length` in lines, `nesting` in levels of compound statements."""

    name: str
    line: int
    complexity: int
    length: int
    nesting: int


def functions(tree: ast.Module) -> tuple[Function, ...]:
    """Return the figures of every function and method in `tree`, in the order of their lines.

    The visit keeps its own stack, so a deeply nested tree cannot exhaust Python's.
    """
    found = []
    places: list[tuple[ast.AST, str]] = [(tree, "")]
    while places:
        place, prefix = places.pop()
        complexity, nesting, inner = _measure(place)
        if isinstance(place, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (place.end_lineno or place.lineno) - place.lineno + 1
            found.append(Function(prefix + place.name, place.lineno, complexity, length, nesting))
        if isinstance(place, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            prefix = f"{prefix}{place.name}."
        places.extend((function_or_class, prefix) for function_or_class in inner)
    return tuple(sorted(found, key=lambda function: (function.line, function.name)))


def _measure(place: ast.AST) -> tuple[int, int, list[ast.AST]]:
    """Return a function's complexity and nesting, and the functions and classes that stand right inside it."""
    complexity, nesting = 1, 0
    inner: list[ast.AST] = []
    expressions: list[ast.AST] = []
    # A module or class has no figures, and no expression holds a `def`: its statements are enough.
    counts = type(place) in _FUNCTIONS
    statements: list[tuple[ast.AST, int]] = [(place, 0)]
    while statements:
        node, depth = statements.pop()
        kind = type(node)
        if kind in _DECIDING_STATEMENTS:
            complexity += 1
        if kind in _BLOCKS:
            depth += 1
            nesting = max(nesting, depth)
        for field, value in vars(node).items():
            if type(value) is list:
                for child in value:
                    child_kind = type(child)
                    if child_kind in _FUNCTIONS or child_kind is ast.ClassDef:
                        inner.append(child)
                    elif child_kind in _STATEMENTS:
                        same_level = kind is ast.If and field == "orelse" and _is_elif(node, child)
                        statements.append((child, depth - same_level))
                    elif counts and child_kind in _EXPRESSIONS:
                        expressions.append(child)
            elif counts and type(value) in _EXPRESSIONS:
                expressions.append(value)
    while expressions:
        expression = expressions.pop()
        if type(expression) in _DECIDING_EXPRESSIONS:
            complexity += _decisions(expression)
        for value in vars(expression).values():
            if type(value) is list:
                expressions.extend([child for child in value if type(child) in _EXPRESSIONS])
            elif type(value) in _EXPRESSIONS:
                expressions.append(value)
    return complexity, nesting, inner


def _decisions(expression: ast.AST) -> int:
    """Return how many decisions one of the deciding expressions makes itself, those of its parts not counted."""
    if isinstance(expression, ast.BoolOp):
        return len(expression.values) - 1
    if isinstance(expression, ast.comprehension):
        return 1 + len(expression.ifs)
    return 1


def _is_elif(parent: ast.AST, child: ast.AST) -> bool:
    """Tell ``elif`` from an ``if`` inside ``else``: the tree has one shape for both, the columns differ."""
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and child.col_offset == parent.col_offset
