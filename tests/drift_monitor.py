"""A monitor of a workspace that looks for drift between two data assets, here one and the same."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own use of marshmallow warns while it is imported
    from azure.ai.ml import Input
    from azure.ai.ml.constants import MonitorDatasetContext, TimeZone
    from azure.ai.ml.entities import (
        CronTrigger,
        DataDriftMetricThreshold,
        DataDriftSignal,
        MonitorDefinition,
        MonitorSchedule,
        NumericalDriftMetrics,
        ProductionData,
        ReferenceData,
        ServerlessSparkCompute,
    )

_SIGNAL = "drift"


def drift_monitor(name: str, data: str) -> MonitorSchedule:
    """It runs once a day. `data` is an asset's id."""
    read = Input(type="mltable", path=data)
    signal = DataDriftSignal(
        production_data=ProductionData(input_data=read, data_context=MonitorDatasetContext.MODEL_INPUTS),
        reference_data=ReferenceData(input_data=read, data_context=MonitorDatasetContext.TRAINING),
        metric_thresholds=DataDriftMetricThreshold(numerical=NumericalDriftMetrics(jensen_shannon_distance=0.01)),
    )
    compute = ServerlessSparkCompute(instance_type="standard_e4s_v3", runtime_version="3.4")
    definition = MonitorDefinition(compute=compute, monitoring_signals={_SIGNAL: signal})
    daily = CronTrigger(expression="15 10 * * *", time_zone=TimeZone.UTC)
    return MonitorSchedule(name=name, trigger=daily, create_monitor=definition)


def signal_of(monitor: str) -> str:
    """The pattern of its signal for the local cloud's fault `monitor_breach`."""
    return f"*/schedules/{monitor}/signals/{_SIGNAL}"
