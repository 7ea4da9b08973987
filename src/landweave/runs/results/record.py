"""`run.json` read back."""

import json
from typing import TYPE_CHECKING, Any

from landweave.errors import parsed
from landweave.sources.remote import readable

if TYPE_CHECKING:
    from landweave.runs.project.settings import Project


def told_settings(project: "Project", **options: Any) -> dict[str, Any]:
    """A project's settings for records and reports, which go to others than those who may know a key in an address."""
    settings: dict[str, Any] = project.model_dump(mode="json", **options)
    url = settings.get("source", {}).get("url")
    if url:
        settings["source"]["url"] = readable(url)
    return settings


def read_record(path: Any) -> dict[str, Any]:
    """A JSON file of a run, such as an earlier ``run.json``; empty where there is none that can be read."""
    try:
        content = parsed(json.loads, path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
