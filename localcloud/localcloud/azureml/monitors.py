"""Runs of model monitors: a pipeline run with a step per signal, which tags itself where a threshold is breached.

Nothing computes drift here: the fault `monitor_breach` says which signals breach. A signal's path is that of its
schedule, followed by `/signals/NAME`.
"""

import uuid

from localcloud.azureml.faults import Faults
from localcloud.azureml.job_records import JobRecords, NewJob
from localcloud.azureml.rights import Caller
from localcloud.azureml.scopes import Scope
from localcloud.azureml.store import Resource
from localcloud.azureml.wire import Json

#: The tag of a step's run that Azure's documentation has event subscriptions filter by, and the end of its value.
BREACHED = "azureml_modelmonitor_threshold_breached"
_WORDS = "has failed due to one or more features violating metric thresholds"


class Monitors:
    def __init__(self, records: JobRecords, faults: Faults) -> None:
        self._records = records
        self._faults = faults

    def run(self, workspace: Scope, schedule: Resource, name: str, display_name: str, caller: Caller) -> None:
        """Records a whole run of the monitor. A breach does not make it fail, as with Azure's newer components."""
        properties = {"jobType": "Pipeline", "displayName": display_name, "experimentName": schedule.name, "jobs": {}}
        root = self._records.create(workspace, NewJob(name, properties, caller, schedule=schedule.name))
        self._records.change(workspace, name, "Running")
        definition = schedule.properties["action"].get("monitorDefinition") or {}
        for signal in definition.get("signals") or {}:
            self._run_signal(workspace, schedule, root, signal, caller)
        self._records.change(workspace, name, "Completed")

    def _run_signal(self, workspace: Scope, schedule: Resource, root: Resource, signal: str, caller: Caller) -> None:
        notes: Json = {"azureml.pipelinerunid": root.name, "azureml.rootpipelinerunid": root.name}
        properties = {"experimentName": schedule.name, "displayName": f"evaluate_{signal}", "properties": notes}
        step = self._records.create(workspace, NewJob(str(uuid.uuid4()), properties, caller, parent=root))
        self._records.change(workspace, step.name, "Running")
        if self._faults.take({"monitor_breach"}, None, f"{schedule.path}/signals/{signal}"):
            running = self._records.get(workspace, step.name) or step
            running.properties["tags"][BREACHED] = f"{signal} {_WORDS}"
            self._records.save(running)
        self._records.change(workspace, step.name, "Completed")
