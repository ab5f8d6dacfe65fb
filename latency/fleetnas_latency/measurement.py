"""The measurement protocol in one place: plan, measure, judge.

Pure: the clock and the networks are passed in, so an agent, a page in a browser and a simulator share every decision.

    raw = measure(candidate, anchor, Plan(), time.monotonic)
    measurement = judge(raw, Plan(), Evidence())
"""

__all__ = [
    "AnchorDrift",
    "Clock",
    "Evidence",
    "Measurement",
    "OperatorTime",
    "Plan",
    "RawMeasurement",
    "RunSeries",
    "RunTimes",
    "Runner",
    "StatisticEstimate",
    "StopReason",
    "Verdict",
    "in_one",
    "judge",
    "measure",
    "measure_anchored",
    "measure_batch",
]

from fleetnas_latency.anchored_batch import AnchorDrift, measure_anchored
from fleetnas_latency.batch import measure_batch
from fleetnas_latency.judgement import Evidence, Measurement, StatisticEstimate, Verdict, in_one, judge
from fleetnas_latency.operator_times import OperatorTime
from fleetnas_latency.plan import Clock, Plan, Runner, RunTimes
from fleetnas_latency.sampling import RawMeasurement, RunSeries, StopReason, measure
