"""The page of the Python API: every name of ``landweave.__all__``, grouped by the room that it comes from."""

import inspect
import re

import landweave

GROUPS = {
    "Run a project and read its results": ("runs.project", "runs.pipeline", "runs.results", "runs"),
    "Images and patches": ("sources", "patch"),
    "Clouds and features (X)": ("features",),
    "Reference and labels (y)": ("legend", "labels"),
    "Classifier": ("classifier",),
    "How good is it?": ("accuracy",),
    "Estimates from a labelled sample": ("runs.estimate", "accuracy.design_based"),
    "Open data sets": ("runs.publish", "maps"),
    "Errors and version": ("errors", ""),
}
"""Title of a group to the rooms whose names belong to it; of several rooms that fit, the longest counts."""

_EXAMPLE_IN_SECTION = re.compile(
    r"^(?:Parameters|Returns|Raises|Attributes)\n-+\n(?:(?!^Examples\n-).)*?^>>>", flags=re.DOTALL | re.MULTILINE
)


def module_of(name: str) -> str:
    """The room and file of a public name, such as ``"patch.grid"``; empty for what is in ``landweave`` itself.

    Examples
    --------
    >>> module_of("Cell"), module_of("__version__")
    ('patch.grid', '')
    """
    module = getattr(getattr(landweave, name), "__module__", "landweave")
    return module.removeprefix("landweave").removeprefix(".")


def group_of(name: str) -> str:
    """The title under which a public name stands.

    Raises
    ------
    LookupError
        If no group has the name's room.
    """
    module = module_of(name)
    fitting = [
        (len(room), title)
        for title, rooms in GROUPS.items()
        for room in rooms
        if module == room or (room and module.startswith(f"{room}."))
    ]
    if not fitting:
        raise LookupError(f"landweave.{name} is in {module}, which no group of docs/api_page.py names; add it to one")
    return max(fitting)[1]


def undocumented() -> list[str]:
    """Public names without a docstring of their own."""
    return [name for name in landweave.__all__ if name != "__version__" and not _docstring(name)]


def page() -> str:
    """Headings and directives of all names, in MyST Markdown.

    Raises
    ------
    LookupError
        If a name has no docstring, or no group, or its example would be shown as part of another section.
    """
    if bare := undocumented():
        raise LookupError(f"public names without a docstring: {', '.join(bare)}")
    if run_on := [name for name in landweave.__all__ if _EXAMPLE_IN_SECTION.search(_docstring(name))]:
        raise LookupError(f"docstrings whose example has no heading Examples: {', '.join(run_on)}")
    grouped: dict[str, list[str]] = {title: [] for title in GROUPS}
    for name in landweave.__all__:
        grouped[group_of(name)].append(name)
    parts = []
    for title, names in grouped.items():
        if not names:
            continue
        rows = [f"| [`{name}`](#landweave.{name}) | {_first_line(name)} |" for name in names]
        parts.append("\n".join([f"## {title}", "", "| name | what it is |", "|---|---|", *rows]))
        parts += [_directive(name) for name in names]
    return "\n\n".join(parts) + "\n"


def _docstring(name: str) -> str:
    value = getattr(landweave, name)
    # A class without one would show its parent's, and a dataclass its own signature.
    own = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
    return "" if name == "__version__" or not own or own.startswith(f"{name}(") else inspect.cleandoc(own)


def _first_line(name: str) -> str:
    if name == "__version__":
        return "The installed version, a string."
    line = " ".join(_docstring(name).split("\n\n")[0].split())
    return line.replace("|", "\\|").replace("``", "`")


def _directive(name: str) -> str:
    value = getattr(landweave, name)
    if name == "__version__":
        lines = [".. py:data:: landweave.__version__", "   :type: str", "", "   The installed version."]
    elif inspect.isclass(value):
        lines = [f".. autoclass:: landweave.{name}", "   :members:"]
    else:
        lines = [f".. autofunction:: landweave.{name}"]
    return "\n".join(["```{eval-rst}", *lines, "```"])
