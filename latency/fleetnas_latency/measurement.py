"""The measurement protocol in one place: plan, measure, judge.

Pure: the clock and the networks are passed in, so an agent, a page in a browser and a simulator share every decision.

    raw = measure(candidate, anchor, Plan(), time.monotonic)
    measurement = judge(raw, Plan(), Evidence())
"""

__all__ = [
    "Clock",
    "Evidence",
    "Measurement",
    "Plan",
    "RawMeasurement",
    "RunSeries",
    "RunTimes",
    "Runner",
    "StatisticEstimate",
    "StopReason",
    "Verdict",
    "judge",
    "measure",
    "measure_batch",
]

from fleetnas_latency.batch import measure_batch
from fleetnas_latency.judgement import Evidence, Measurement, StatisticEstimate, Verdict, judge
from fleetnas_latency.plan import Clock, Plan, Runner, RunTimes
from fleetnas_latency.sampling import RawMeasurement, RunSeries, StopReason, measure
