"""eo-learn's executor: a workflow for many patches, by landweave's own engine."""

import datetime
import html
import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from landweave.engine.executor import Outcome, open_engine
from landweave.engine.machine import usable_cores
from landweave.eolearn.holding import of_this_machine
from landweave.eolearn.workflow import EONode, EOWorkflow, ExceptionInfo, NodeStats, WorkflowResults
from landweave.errors import InputError
from landweave.patch.store import write_text


class EOExecutor:
    """Runs a workflow once for each dictionary of arguments; a failure stops no other.

    Parameters
    ----------
    workflow
        What runs.
    execution_kwargs
        For each execution: node to arguments.
    execution_names
        For logs and the report; numbers from 1 where left out.
    save_logs
        Whether :meth:`run` writes a log of each execution.
    logs_folder
        Where logs and report go, in a folder named by the time.
    filesystem, logs_filter, logs_handler_factory
        Refused: logs are this machine's files, and hold each node's seconds and error.
    raise_on_temporal_mismatch
        Taken, and changes nothing: other dates than the patch has are an error anyway.

    >>> from landweave.eolearn.tasks import InputTask, OutputTask
    >>> from landweave.eolearn.workflow import linearly_connect_tasks
    >>> nodes = linearly_connect_tasks(InputTask(), OutputTask("patch"))
    >>> executor = EOExecutor(EOWorkflow(nodes), [{nodes[0]: {"value": 1}}, {nodes[0]: {"wrong": 2}}])
    >>> [result.outputs for result in executor.run(workers=1)]
    [{'patch': 1}, {}]
    >>> executor.get_successful_executions(), executor.get_failed_executions()
    ([0], [1])
    """

    def __init__(
        self,
        workflow: EOWorkflow,
        execution_kwargs: Iterable[Mapping[EONode, Mapping[str, Any]]],
        *,
        execution_names: Iterable[str] | None = None,
        save_logs: bool = False,
        logs_folder: str | Path = ".",
        filesystem: Any = None,
        logs_filter: Any = None,
        logs_handler_factory: Any = None,
        raise_on_temporal_mismatch: bool = False,  # noqa: ARG002
    ) -> None:
        of_this_machine(filesystem=filesystem)
        if logs_filter is not None or logs_handler_factory is not None:
            raise InputError(
                "logs_filter and logs_handler_factory are not supported (logs contain each node's seconds and error); "
                "leave them out."
            )
        self.workflow = workflow
        self.execution_kwargs = [dict(one) for one in execution_kwargs]
        count = len(self.execution_kwargs)
        names = [str(number) for number in range(1, count + 1)] if execution_names is None else list(execution_names)
        if len(names) != count:
            raise InputError(f"{len(names)} execution_names for {count} executions; give one for each.")
        self.execution_names = names
        self.save_logs, self.logs_folder = save_logs, Path(logs_folder)
        self.execution_results: list[WorkflowResults] = []
        self._folder: Path | None = None

    def run(self, workers: int | None = 1, multiprocess: bool = True, **progress: Any) -> list[WorkflowResults]:  # noqa: ARG002
        """Run everything.

        Parameters
        ----------
        workers
            Processes; 1 works in this one, None takes all cores.
        multiprocess, progress
            Taken, and change nothing: workers are processes, and nothing is drawn.

        Returns
        -------
        list of WorkflowResults
            In the order of ``execution_kwargs``. With more than one worker outputs travel between processes: save
            patches in the workflow rather than give them back.
        """
        now = datetime.datetime.now()  # noqa: DTZ005 - a folder's name, for people
        self._folder = self.logs_folder / f"eoexecution-report-{now:%Y_%m_%d-%H_%M_%S}"
        # Nodes are known by identity, which no process shares: they travel as their numbers.
        numbers = {node: number for number, node in enumerate(self.workflow.get_nodes())}
        for arguments in self.execution_kwargs:
            for node in arguments:
                if node not in numbers:
                    raise InputError(f"Arguments are given for {node!r}, which is not a node of the workflow.")
        tasks = [
            (str(number), {numbers[node]: dict(values) for node, values in arguments.items()})
            for number, arguments in enumerate(self.execution_kwargs)
        ]
        results: dict[int, WorkflowResults] = {}
        with open_engine(workers=workers or usable_cores()) as engine:
            for outcome in engine.run(partial(_execute, self.workflow), tasks):
                results[int(outcome.name)] = outcome.value or _lost(outcome)
        full = [results[number] for number in range(len(tasks))]
        self.execution_results = [
            WorkflowResults(outputs={}, start_time=one.start_time, end_time=one.end_time, stats=one.stats)
            for one in full
        ]
        if self.save_logs:
            for path, one in zip(self.get_log_paths(), self.execution_results, strict=True):
                write_text(path, _log(one))
        return full

    def get_successful_executions(self) -> list[int]:
        """Numbers, from 0, of the executions that went well."""
        return [number for number, one in enumerate(self.execution_results) if not one.workflow_failed()]

    def get_failed_executions(self) -> list[int]:
        """Numbers, from 0, of those that failed."""
        return [number for number, one in enumerate(self.execution_results) if one.workflow_failed()]

    def get_log_paths(self, full_path: bool = True) -> list[Path]:  # noqa: ARG002
        """Where the logs of :meth:`run` lie."""
        return [self._ran() / f"eoexecution-{name}.log" for name in self.execution_names]

    def get_report_path(self, full_path: bool = True) -> Path:  # noqa: ARG002
        """Where :meth:`make_report` puts its page."""
        return self._ran() / "report.html"

    def make_report(self, include_logs: bool = True) -> None:
        """Write a page with every execution, its seconds and, unless without logs, its error."""
        rows = []
        for name, one in zip(self.execution_names, self.execution_results, strict=True):
            failed = one.failed_node()
            seconds = math.fsum(node.seconds for node in one.stats)
            cells = [name, "finished" if failed is None else f"failed in {failed.node_name}", f"{seconds:.1f}"]
            line = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            problem = failed.exception_info if failed is not None and include_logs else None
            trace = "" if problem is None else problem.traceback
            rows.append(f"<tr>{line}<td><pre>{html.escape(trace)}</pre></td></tr>")
        good, bad = len(self.get_successful_executions()), len(self.get_failed_executions())
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Executions</title>'
            f"<h1>{good} finished, {bad} failed</h1><table><tr><th>execution<th>state<th>seconds<th>error</tr>"
            f"{''.join(rows)}</table></html>\n"
        )
        write_text(self.get_report_path(), page)

    def _ran(self) -> Path:
        if self._folder is None:
            raise InputError("The executor has not run yet; call run first.")
        return self._folder


def _execute(workflow: EOWorkflow, arguments: Mapping[int, Mapping[str, Any]]) -> WorkflowResults:
    nodes = workflow.get_nodes()
    return workflow.execute({nodes[number]: values for number, values in arguments.items()}, raise_errors=False)


def _lost(outcome: Outcome) -> WorkflowResults:
    # The worker died, or its answer could not travel.
    now = datetime.datetime.now(datetime.UTC)
    problem = ExceptionInfo(exception=RuntimeError(outcome.error), traceback=outcome.log)
    stats = NodeStats(node_name="worker", seconds=outcome.seconds, exception_info=problem)
    return WorkflowResults(outputs={}, start_time=now, end_time=now, stats=(stats,))


def _log(results: WorkflowResults) -> str:
    lines = [f"{results.start_time.isoformat()} started"]
    for node in results.stats:
        lines.append(f"{node.node_name}: {node.seconds:.3f} s")
        if node.exception_info is not None:
            lines.append(node.exception_info.traceback)
    lines.append(f"{results.end_time.isoformat()} {'failed' if results.workflow_failed() else 'finished'}")
    return "\n".join(lines) + "\n"
