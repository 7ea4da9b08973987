"""Tasks in a line, and many of them."""

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from landweave.eolearn import (
    EOExecutor,
    EONode,
    EOPatch,
    EOTask,
    EOWorkflow,
    InputTask,
    MapFeatureTask,
    OutputTask,
    linearly_connect_tasks,
)
from landweave.errors import InputError


class AddOne(EOTask):
    def execute(self, eopatch, *, amount=1):
        if amount < 0:
            raise ValueError("less than nothing")
        eopatch.data["X"] = eopatch.data["X"] + amount
        return eopatch


def line():
    return linearly_connect_tasks(InputTask(), AddOne(), (AddOne(), "again"), OutputTask("patch"))


def patch_of(value=0.0):
    return EOPatch(data={"X": np.full((1, 1, 1, 1), value)})


def test_each_task_gets_what_the_one_before_gave():
    nodes, patch = line(), patch_of()
    workflow = EOWorkflow(nodes[::-1])
    assert workflow.get_nodes() == nodes
    assert EOWorkflow.from_endnodes(nodes[-1]).get_nodes() == nodes
    results = workflow.execute({nodes[0]: {"value": patch}, nodes[2]: {"amount": 10}})
    assert results.outputs["patch"].data["X"].item() == 11
    assert [node.node_name for node in results.stats] == ["InputTask", "AddOne", "again", "OutputTask"]
    # Each task worked on a copy.
    assert patch.data["X"].item() == 0


def test_an_error_is_raised_or_told():
    nodes = line()
    given = {nodes[0]: {"value": patch_of()}, nodes[2]: {"amount": -1}}
    with pytest.raises(ValueError, match="less than nothing"):
        EOWorkflow(nodes).execute(given)
    results = EOWorkflow(nodes).execute(given, raise_errors=False)
    assert results.workflow_failed()
    assert results.failed_node().node_name == "again"
    assert "less than nothing" in results.failed_node().exception_info.traceback
    assert results.outputs == {}


def test_what_is_no_line_is_refused_with_what_to_do():
    task = MapFeatureTask(("data", "X"), ("data", "X"), np.negative)
    one, other = EONode(InputTask(), name="one"), EONode(InputTask(), name="other")
    after = EONode(task, inputs=[one], name="after")
    for nodes, match in (
        (
            [one, other, EONode(task, inputs=[one, other], name="join")],
            "join has 2 inputs: a workflow here is one line",
        ),
        (
            [one, after, EONode(task, inputs=[one], name="fork")],
            "one is the input of after and fork.*call tasks as func",
        ),
        ([one, other], "2 nodes have no input"),
        ([after], "one, the input of after, is not part"),
        ([one, one], "each node only once"),
        ([], "A workflow needs at least one node"),
    ):
        with pytest.raises(InputError, match=match):
            EOWorkflow(nodes)
    with pytest.raises(InputError, match="is not an EOTask; make one"):
        EONode(np.negative)
    with pytest.raises(InputError, match="which is not a node of the workflow; there are one, after"):
        EOWorkflow([one, after]).execute({other: {}})


def test_the_executor_tells_which_went_well_and_writes_logs_and_a_page(tmp_path):
    nodes = line()
    arguments = [
        {nodes[0]: {"value": patch_of(float(number))}, nodes[1]: {"amount": -1 if number == 1 else 1}}
        for number in range(3)
    ]
    executor = EOExecutor(
        EOWorkflow(nodes), arguments, execution_names=["a", "<b>", "c"], save_logs=True, logs_folder=tmp_path
    )
    with pytest.raises(InputError, match="has not run yet"):
        executor.get_log_paths()
    results = executor.run()
    assert [result.outputs["patch"].data["X"].item() for result in (results[0], results[2])] == [2, 4]
    assert executor.get_successful_executions() == [0, 2]
    assert executor.get_failed_executions() == [1]
    assert not any(result.outputs for result in executor.execution_results)
    logs = [path.read_text() for path in executor.get_log_paths()]
    assert "less than nothing" in logs[1]
    assert "again: " in logs[0]
    assert logs[0].endswith("finished\n")
    executor.make_report()
    page = executor.get_report_path().read_text()
    assert "2 finished, 1 failed" in page
    assert "less than nothing" in page
    assert "<td>&lt;b&gt;</td>" in page
    with pytest.raises(InputError, match="2 execution_names for 3 executions"):
        EOExecutor(EOWorkflow(nodes), arguments, execution_names=["a", "b"])
    stranger = EOExecutor(EOWorkflow(nodes), [{line()[0]: {}}])
    with pytest.raises(InputError, match="not a node of the workflow"):
        stranger.run()


def test_a_patch_travels_between_processes():
    patch = patch_of(3.0)
    assert pickle.loads(pickle.dumps(patch)) == patch


def test_the_two_sides_of_the_page_differ_in_imports_and_the_prediction_alone():
    page = (Path(__file__).parents[1] / "docs" / "from-eo-learn.md").read_text()
    table = page[page.index("<table>") : page.index("</table>")]
    left, right = (re.search(rf"```python {word}\n(.*?)```", table, flags=re.DOTALL)[1] for word in ("eolearn", "run"))
    task = ast.unparse(next(node for node in ast.parse(left).body if getattr(node, "name", "") == "PredictPatchTask"))
    imports = (ast.Import, ast.ImportFrom)

    def rest(text):
        return [ast.unparse(node) for node in ast.parse(text).body if not isinstance(node, imports)]

    assert [part for part in rest(left) if part != task] == rest(right)
    names = [
        {alias.name for node in ast.parse(text).body if isinstance(node, imports) for alias in node.names}
        for text in (left, right)
    ]
    assert names[1] - names[0] == {"PredictPatchTask"}
    assert names[0] <= names[1]


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same():
    nodes = line()
    arguments = [{nodes[0]: {"value": patch_of(float(number))}} for number in range(5)]
    alone, together = (EOExecutor(EOWorkflow(nodes), arguments).run(workers=count) for count in (1, 2))
    values = [[result.outputs["patch"].data["X"].item() for result in results] for results in (alone, together)]
    assert values[0] == values[1] == [2, 3, 4, 5, 6]
