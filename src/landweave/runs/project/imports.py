"""The functions and classes that a project file names: what a run will import, and from where."""

from landweave.classifier.fit import SHORT_NAMES, import_path
from landweave.errors import InputError
from landweave.features.indices import is_import_path
from landweave.import_rule import refuse
from landweave.runs.project.settings import Project


def imported(project: Project) -> dict[str, str]:
    """Setting to the import path that stands there, of all settings that name code."""
    features, model = project.features.custom, project.model
    paths = {f"features.custom.{name}": text for name, text in features.items() if is_import_path(text)}
    own = import_path(model.type) if model.path is None else None
    return paths if own is None else {**paths, "model.type": own}


def check_imports(project: Project) -> list[str]:
    """A line for every import path, with where it comes from.

    Raises
    ------
    InputError
        Naming every path that may not be imported. Nothing has been imported then.
    """
    rule = project.import_rule
    origins = {key: (path, rule.origin(_module(path))) for key, path in imported(project).items()}
    model = project.model.type
    if origins.get("model.type", ("", ""))[1] is None and not set(".:").intersection(model):
        known = ", ".join(["lightgbm", *SHORT_NAMES])
        raise InputError(
            f'{project.file}: model.type = "{model}" is unknown; use {known} or an import path such as '
            '"sklearn.svm.SVC".'
        )
    refused = [f'{key} = "{path}"' for key, (path, origin) in origins.items() if origin is None]
    if refused:
        try:
            refuse(", ".join(refused))
        except InputError as error:
            raise InputError(f"{project.file}: {error}") from None
    return [f"{key} = {path} ({origin})" for key, (path, origin) in origins.items()]


def _module(path: str) -> str:
    return path.partition(":")[0] if ":" in path else path.rpartition(".")[0]
