"""Execute the example notebook and keep its pictures in it: python docs/keep_notebook.py [PROJECT].

PROJECT is the folder of a finished demo, which saves minutes. Without it the notebook simulates and maps the country.
It needs `pip install '.[notebook]'`. Equal pictures give equal bytes: no clock, no identifiers, no metadata.
"""

import base64
import io
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples" / "any_area.ipynb"
COLOURS = 64
"""Of each picture: a third of the bytes, and hardly a visible difference."""


def keep(output: Any) -> bool:
    """Settle an output; whether it is kept: printed text, plain text and pictures are, warnings are not."""
    if output.output_type == "stream":
        return bool(output.name == "stdout")
    # The HTML of a Dataset has random identifiers, and is larger than all pictures.
    for kind in set(output.data) - {"text/plain", "image/png"}:
        del output.data[kind]
    if "image/png" in output.data:
        output.data["image/png"] = small_picture(output.data["image/png"])
        output.data["text/plain"] = "<Figure>"
    output.metadata.clear()
    if "execution_count" in output:
        output.execution_count = None
    return True


def small_picture(text: str) -> str:
    """A PNG in base64 with few colours and without metadata."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.info.clear()
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode() + "\n"


def settle(book: Any) -> None:
    """Leave in an executed notebook what is the same each time."""
    book.metadata.language_info = {"name": "python"}
    for cell in book.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [output for output in cell.outputs if keep(output)]


def main(project: str | None) -> None:
    """Execute the notebook, and write it with its pictures."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as folder:
        os.environ["LANDWEAVE_PROJECT"] = str(Path(project).resolve() if project else Path(folder) / "any-area")
        NotebookClient(book, timeout=3600, resources={"metadata": {"path": folder}}).execute()
    settle(book)
    nbformat.write(book, NOTEBOOK)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
