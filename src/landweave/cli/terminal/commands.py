"""How every command is made: examples in its help, ``-h``, ``--quiet``, ``--verbose``, and errors of one line."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from landweave.cli.terminal.examples import EXAMPLES
from landweave.cli.terminal.speech import SPEECH

Work = TypeVar("Work", bound=Callable[..., Any])

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and, with --json, the document.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more: the pace of long stages, logs of failures.")
]


class Commands(typer.Typer):
    """A group of commands.

    Parameters
    ----------
    name, help
        As for typer.
    path
        Words of the group before its commands, such as ``landweave estimate``.
    completion
        Whether the group installs the completion of shells.
    """

    def __init__(self, *, name: str, help: str, path: str, completion: bool = False) -> None:  # noqa: A002 - typer's
        super().__init__(
            name=name, help=help, no_args_is_help=True, add_completion=completion, pretty_exceptions_enable=False,
            rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]},
        )  # fmt: skip
        self._path = path

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Work], Work]:
        """Register a function as a command, with ``--quiet``, ``--verbose`` and its examples."""

        def register(work: Work) -> Work:
            words = f"{self._path} {name or work.__name__.replace('_', '-')}"
            below = super(Commands, self).command(name, epilog=_epilog(words), **settings)
            below(_spoken(work))
            return work

        return register


def _spoken(work: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the options that all commands have."""

    @wraps(work)
    def spoken(*, quiet: bool, verbose: bool, **given: Any) -> Any:
        SPEECH.ask(quiet=quiet, verbose=verbose)
        return work(**given)

    asked = {"quiet": Quiet, "verbose": Verbose}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in asked.items()
    ]
    signature = inspect.signature(work)
    spoken.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # type: ignore[attr-defined]
    spoken.__annotations__ = {**work.__annotations__, **asked}
    return spoken


def _epilog(words: str) -> str | None:
    lines = EXAMPLES.get(words.removeprefix("landweave "))
    # The mark keeps the lines as they are.
    return None if not lines else "\b\n" + "\n".join(["Examples:", *(f"  landweave {line}" for line in lines)])


def usage_line(error: Any) -> str:
    """What was wrong in a command line, and where to read more, in one line.

    Parameters
    ----------
    error
        Of typer, or of the click that it uses: ``format_message()``, and ``ctx`` where it is known.
    """
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    path = error.ctx.command_path if getattr(error, "ctx", None) is not None else "landweave"
    return f"{path}: {message[:1].lower()}{message[1:]}; see {path} --help"
