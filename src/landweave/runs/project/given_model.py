"""A model from elsewhere, or of this project: does it fit the features and the classes?"""

from pathlib import Path

from landweave.classifier.model import Model, recipe_mismatch
from landweave.errors import InputError
from landweave.features.recipe import Recipe
from landweave.runs import layout
from landweave.runs.project.plan import Plan


def given_model(plan: Plan) -> Model:
    """The model that ``model.path`` names; InputError where its recipe or classes are not the project's."""
    assert plan.project.model.path is not None
    return _fitting(plan, plan.project.path(plan.project.model.path))


def fitting_model(plan: Plan) -> str:
    """Folder of the model that maps; InputError where it was trained for other features or classes."""
    path = plan.project.model.path
    folder = plan.project.path(path) if path else plan.folder / layout.MODEL
    _fitting(plan, folder)
    return str(folder) if path else layout.MODEL


def _fitting(plan: Plan, folder: Path) -> Model:
    model = Model.load(folder)
    if model.recipe is not None:
        _check_names(model, folder)
    difference = recipe_mismatch(model.recipe, plan.recipe.to_json())
    if difference:
        raise InputError(f"{folder}: {difference} (to train a new model, run with --retrain).")
    for value in model.classes:
        name, ours = model.class_names[value], plan.legend.names.get(value)
        if ours != name:
            raise InputError(
                f"{folder}: the model's class {value} is {name!r}, but the legend has {ours!r}; "
                "use the legend that the model was trained with."
            )
    return model


def _check_names(model: Model, folder: Path) -> None:
    """Columns in another order than the recipe makes them would give a wrong map in silence."""
    assert model.recipe is not None
    try:
        names = Recipe.from_json(model.recipe).feature_names
    except InputError as error:
        raise InputError(f"{folder}: model.json: {error}") from None
    if names != model.feature_names:
        raise InputError(f"{folder}: model.json: feature_names are not those that its recipe makes; train a new model.")
