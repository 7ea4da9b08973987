"""Spectral indices: a table of formulas, and the small arithmetic language that users may add to it.

Formulas speak of reflectance (0..1, floating point) under Sentinel-2's band names.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.import_rule import ImportRule

INDICES: dict[str, tuple[str, str] | str] = {
    "ndvi": ("B08", "B04"),  # Rouse et al. 1974
    "ndwi": ("B03", "B08"),  # McFeeters 1996, open water
    "ndbi": ("B11", "B08"),  # Zha et al. 2003
    "ndmi": ("B08", "B11"),  # Gao 1996, vegetation moisture
    "ndsi": ("B03", "B11"),  # Hall et al. 1995, snow
    "mndwi": ("B03", "B11"),  # Xu 2006: NDSI's formula, read as water
    "nbr": ("B08", "B12"),  # Key and Benson 2006
    "ndre": ("B08", "B05"),  # Gitelson and Merzlyak 1994
    "gndvi": ("B08", "B03"),  # Gitelson et al. 1996
    "ndti": ("B11", "B12"),  # van Deventer et al. 1997, tillage
    "bsi": ("B11+B04", "B08+B02"),  # Rikimaru et al. 2002, bare soil
    "evi": "2.5*(B08-B04)/(B08+6*B04-7.5*B02+1)",  # Huete et al. 2002
    "evi2": "2.5*(B08-B04)/(B08+2.4*B04+1)",  # Jiang et al. 2008
    "savi": "1.5*(B08-B04)/(B08+B04+0.5)",  # Huete 1988, L = 0.5
    "msavi": "(2*B08+1-sqrt((2*B08+1)**2-8*(B08-B04)))/2",  # Qi et al. 1994
    "nirv": "B08*(B08-B04)/(B08+B04)",  # Badgley et al. 2017
}
"""Name to a pair (a, b), meaning the normalised difference (a - b) / (a + b) clipped to +-1, or to arithmetic."""

NORM = "norm"
"""The index that is the Euclidean length of the recipe's bands, sqrt(sum of squares)."""

INDEX_NAMES = (*INDICES, NORM)
"""Every index that a project may name."""

_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "sqrt": (np.sqrt, 1),
    "abs": (np.abs, 1),
    "log": (np.log, 1),
    "exp": (np.exp, 1),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
}
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_LONGEST = 1000
_LARGEST = 1e100


def index_bands(name: str, bands: Sequence[str]) -> tuple[str, ...]:
    """The bands that an index needs.

    Parameters
    ----------
    name
        A name of :data:`INDEX_NAMES`.
    bands
        The recipe's bands, which ``norm`` takes.

    >>> index_bands("bsi", ())
    ('B11', 'B04', 'B08', 'B02')
    """
    if name == NORM:
        return tuple(bands)
    if name not in INDICES:
        raise InputError(
            f"Index {name!r} is unknown; use one of {', '.join(INDEX_NAMES)} or write it as a custom layer."
        )
    formula = INDICES[name]
    if isinstance(formula, tuple):
        return tuple(band for side in formula for band in side.split("+"))
    return expression_bands(formula)


def index_formula(name: str) -> str:
    """The index as arithmetic for people to read; ``norm`` stays ``norm``.

    >>> index_formula("ndvi")
    '(B08-B04)/(B08+B04)'
    """
    formula = NORM if name == NORM else INDICES[name]
    if isinstance(formula, str):
        return formula
    plus, minus = (f"({side})" if "+" in side else side for side in formula)
    return f"({plus}-{minus})/({plus}+{minus})"


def is_import_path(expression: str) -> bool:
    """Whether a custom layer is ``package.module:function`` rather than arithmetic."""
    module, colon, function = expression.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), function))


def expression_bands(expression: str) -> tuple[str, ...]:
    """Names in a custom expression in order of appearance; none for an import path.

    Raises
    ------
    InputError
        When the text is neither an import path nor arithmetic of ``+ - * / **``, numbers, names and the functions
        sqrt, abs, min, max, log, exp.

    >>> expression_bands("max(B08, 0) / B04")
    ('B08', 'B04')
    """
    if is_import_path(expression):
        return ()
    names: dict[str, None] = {}
    _collect(_parsed(expression), names)
    return tuple(names)


def evaluate(expression: str, values: Mapping[str, np.ndarray], *, rule: ImportRule | None = None) -> np.ndarray:
    """A custom layer from the bands.

    Parameters
    ----------
    expression
        Arithmetic, or an import path ``package.module:function``; the function gets ``values`` and returns an array
        of the same shape.
    values
        Band to reflectance, floating point, NaN missing, all of one shape.
    rule
        Whose functions may be called; by default those of :data:`landweave.import_rule.PACKAGES`.

    Returns
    -------
    numpy.ndarray
        float64, the bands' shape. NaN where a band is missing, and where any step divides by zero, overflows or
        leaves the real numbers.

    Raises
    ------
    InputError
        For a name that is not a band, an expression outside the language, or a function that cannot be imported,
        fails, or returns another shape.

    >>> evaluate("B08 / B04", {"B08": np.array([0.4, 0.1]), "B04": np.array([0.1, 0.0])}).tolist()
    [4.0, nan]
    """
    shape = np.shape(next(iter(values.values()))) if values else ()
    with np.errstate(all="ignore"):
        if is_import_path(expression):
            result = _call(expression, values, rule or ImportRule())
        else:
            check_names(expression, values)
            result = _value(_parsed(expression), values)
        result = np.asarray(result, "float64")
        if result.shape not in {shape, ()}:
            raise InputError(f"Custom layer {expression!r} gave shape {result.shape} from bands of shape {shape}.")
        # Beyond any physical layer: interpolating it could overflow.
        return np.where(np.abs(result) < _LARGEST, result, np.nan) + np.zeros(shape)


def check_names(expression: str, bands: Mapping[str, Any] | Sequence[str]) -> None:
    """Refuse an expression that names something other than the bands; the message lists them."""
    unknown = [name for name in expression_bands(expression) if name not in bands]
    if unknown:
        raise InputError(f"Custom layer {expression!r} names {unknown[0]!r}; the bands are {', '.join(bands)}.")


def load_function(expression: str, rule: ImportRule) -> Callable[..., Any]:
    """Import ``package.module:function``; InputError when that fails, or may not be."""
    module, _, name = expression.partition(":")
    try:
        function = rule.load(module, name)
    except InputError as error:
        raise InputError(f"Custom layer {expression!r}: {error}") from None
    if not callable(function):
        raise InputError(f"Custom layer {expression!r} is a {type(function).__name__}, not a function.")
    return function  # type: ignore[no-any-return]


def _call(expression: str, values: Mapping[str, np.ndarray], rule: ImportRule) -> Any:
    function = load_function(expression, rule)
    try:
        return np.asarray(function(dict(values)), "float64")
    except Exception as error:
        line = " ".join(str(error).split())
        raise InputError(f"Custom layer {expression!r} failed: {type(error).__name__}: {line}") from error


@lru_cache(maxsize=256)
def _parsed(expression: str) -> ast.expr:
    if len(expression) > _LONGEST:
        raise InputError(f"A custom layer has {len(expression)} characters; at most {_LONGEST} are allowed.")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        _collect(tree, {})
    except SyntaxError as error:
        raise InputError(f"Custom layer {expression!r} is not arithmetic: {error.msg}.") from None
    except (RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"Custom layer {expression!r}: {error}") from None
        raise InputError(f"Custom layer {expression!r} cannot be read: {error}.") from None
    return tree


def _collect(node: ast.expr, names: dict[str, None]) -> None:
    """Walk the tree, refuse what is outside the language, note the names."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return
        case ast.Name(id=name):
            names[name] = None
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _collect(operand, names)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            _collect(left, names)
            _collect(right, names)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function in _FUNCTIONS:
            count = _FUNCTIONS[function][1]
            if len(arguments) < count or (count == 1 and len(arguments) > 1):
                raise InputError(f"{function} takes {'one value' if count == 1 else 'two values or more'}.")
            for argument in arguments:
                _collect(argument, names)
        case _:
            raise InputError(
                f"{ast.unparse(node)!r} is not allowed; use + - * / **, numbers, bands and {', '.join(_FUNCTIONS)}."
            )


def _value(node: ast.expr, values: Mapping[str, np.ndarray]) -> Any:
    match node:
        case ast.Constant(value=value):
            # Never Python's integers: 9**9**9 must overflow at once, not fill the memory.
            return np.float64(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return np.asarray(values[name], "float64")
        case ast.UnaryOp(op=operator, operand=operand):
            inner = _value(operand, values)
            return -inner if isinstance(operator, ast.USub) else inner
        case ast.BinOp(left=left, op=operator, right=right):
            return _finite(_OPERATORS[type(operator)](_value(left, values), _value(right, values)))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            operation, count = _FUNCTIONS[function]
            result = _value(arguments[0], values)
            if count == 1:
                return _finite(operation(result))
            for argument in arguments[1:]:
                result = operation(result, _value(argument, values))
            return result
    raise InputError(f"{ast.unparse(node)!r} is not allowed.")


def _finite(values: Any) -> Any:
    # At once, or 1/(1/0) would come back as a number.
    return np.where(np.isfinite(values), values, np.nan)
