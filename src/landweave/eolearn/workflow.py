"""eo-learn's workflow, as far as it is a line: each task gets what the one before it gave."""

import datetime
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask, OutputTask
from landweave.errors import InputError


@dataclass(frozen=True, eq=False)
class EONode:
    """A task at its place in a workflow; two nodes of the same task are two."""

    task: EOTask
    inputs: Sequence["EONode"] = ()
    """The node whose result the task gets; none for the first."""
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.task, EOTask):
            raise InputError(f"{self.task!r} is not an EOTask; make one from a function with as_task.")
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "name", self.name or type(self.task).__name__)

    def get_name(self) -> str:
        """The name given, or that of the task's class."""
        return str(self.name)


def linearly_connect_tasks(*tasks: EOTask | tuple[EOTask, str]) -> list[EONode]:
    """Nodes of tasks, or of pairs of task and name, one after the other."""
    nodes: list[EONode] = []
    for task in tasks:
        alone, name = task if isinstance(task, tuple) else (task, None)
        nodes.append(EONode(alone, inputs=nodes[-1:], name=name))
    return nodes


@dataclass(frozen=True, kw_only=True)
class ExceptionInfo:
    """What went wrong in a node."""

    exception: BaseException
    traceback: str


@dataclass(frozen=True, kw_only=True)
class NodeStats:
    """How a node fared."""

    node_name: str
    seconds: float
    exception_info: ExceptionInfo | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowResults:
    """What a workflow gave."""

    outputs: Mapping[str, Any]
    """Name to value of each OutputTask."""
    start_time: datetime.datetime
    end_time: datetime.datetime
    stats: Sequence[NodeStats] = field(default=())
    """Of the nodes that ran, in order."""

    def workflow_failed(self) -> bool:
        """Whether a task failed."""
        return self.failed_node() is not None

    def failed_node(self) -> NodeStats | None:
        """The node that failed."""
        return next((node for node in self.stats if node.exception_info is not None), None)


class EOWorkflow:
    """Tasks in a line.

    Parameters
    ----------
    workflow_nodes
        In any order; each may have one input and be the input of one.

    Raises
    ------
    InputError
        Where the nodes branch, join, run in a circle or do not hang together.

    >>> from landweave.eolearn.tasks import InputTask, MapFeatureTask
    >>> nodes = linearly_connect_tasks(InputTask(), OutputTask("patch"))
    >>> EOWorkflow(nodes).execute({nodes[0]: {"value": 7}}).outputs["patch"]
    7
    """

    def __init__(self, workflow_nodes: Sequence[EONode]) -> None:
        self._nodes = _in_line(list(workflow_nodes))

    @classmethod
    def from_endnodes(cls, *endnodes: EONode) -> "EOWorkflow":
        """The workflow that ends in a node."""
        nodes: list[EONode] = []
        waiting = list(endnodes)
        while waiting:
            node = waiting.pop()
            if node not in nodes:
                nodes.append(node)
                waiting += node.inputs
        return cls(nodes)

    def get_nodes(self) -> list[EONode]:
        """The nodes in the order of execution."""
        return list(self._nodes)

    def execute(
        self, input_kwargs: Mapping[EONode, Mapping[str, Any]] | None = None, raise_errors: bool = True
    ) -> WorkflowResults:
        """Run the tasks.

        Parameters
        ----------
        input_kwargs
            Node to arguments of its execution.
        raise_errors
            False: an error ends the workflow and stands in the results.

        Raises
        ------
        InputError
            For arguments of a node that is not part of the workflow.
        """
        given = dict(input_kwargs or {})
        strange = [node for node in given if node not in self._nodes]
        if strange:
            known = ", ".join(node.get_name() for node in self._nodes)
            raise InputError(
                f"Arguments are given for {strange[0]!r}, which is not a node of the workflow; there are {known}."
            )
        start = datetime.datetime.now(datetime.UTC)
        outputs: dict[str, Any] = {}
        stats: list[NodeStats] = []
        results: list[Any] = []
        for node in self._nodes:
            began = time.perf_counter()
            # A task changes the patch that it gets: what went before stays as it was.
            inputs = [one.copy(copy_timestamps=True) if isinstance(one, EOPatch) else one for one in results]
            problem = None
            try:
                results = [node.task.execute(*inputs, **given.get(node, {}))]
            except Exception as error:
                if raise_errors:
                    raise
                problem = ExceptionInfo(exception=error, traceback=traceback.format_exc())
            seconds = time.perf_counter() - began
            stats.append(NodeStats(node_name=node.get_name(), seconds=seconds, exception_info=problem))
            if problem is not None:
                break
            if isinstance(node.task, OutputTask):
                outputs[node.task.name] = results[0]
        end = datetime.datetime.now(datetime.UTC)
        return WorkflowResults(outputs=outputs, start_time=start, end_time=end, stats=tuple(stats))


def _in_line(nodes: list[EONode]) -> list[EONode]:
    advice = "a workflow here is one line of tasks; call tasks as functions where yours branches"
    if not nodes or len(set(nodes)) != len(nodes):
        raise InputError("A workflow needs at least one node, and each node only once.")
    after: dict[EONode, EONode] = {}
    for node in nodes:
        if len(node.inputs) > 1:
            raise InputError(f"{node.get_name()} has {len(node.inputs)} inputs: {advice}.")
        for before in node.inputs:
            if before not in nodes:
                raise InputError(f"{before.get_name()}, the input of {node.get_name()}, is not part of the workflow.")
            if before in after:
                raise InputError(
                    f"{before.get_name()} is the input of {after[before].get_name()} and {node.get_name()}: {advice}."
                )
            after[before] = node
    first = [node for node in nodes if not node.inputs]
    if len(first) != 1:
        raise InputError(f"{len(first)} nodes have no input: {advice}.")
    line = first
    while line[-1] in after:
        line.append(after[line[-1]])
    return line
