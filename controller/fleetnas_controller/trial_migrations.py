"""The schema of searches and trials, step by step, each applied once."""

__all__ = ["trial_migrations"]

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

trial_migrations = Migrations("fleetnas_trials")


@trial_migrations()
def m001_searches_and_trials(db: Database) -> None:
    db.table("searches").create(
        {"name": str, "config": str, "create_time": float, "wall_s": float, "result": str},
        pk="name",
        not_null={"config", "create_time", "wall_s", "result"},
    )
    db.table("trials").create(
        {
            "search": str,
            "number": int,
            "phase": str,
            "architecture": str,
            "state": str,
            "finish_order": int,
            "macs": int,
            "params": int,
            "accuracy": float,
            "accuracy_source": str,
            "readings": str,
            "predicted_ms": str,
            "fault": str,
            "finish_time": float,
        },
        pk=("search", "number"),
        foreign_keys=[("search", "searches", "name")],
        not_null={"phase", "architecture", "state", "finish_order"},
    )


@trial_migrations()
def m002_bytes(db: Database) -> None:
    for name in ("model_bytes", "memory_bytes"):
        db.table("trials").add_column(name, int, not_null_default=0)


@trial_migrations()
def m003_curves(db: Database) -> None:
    db.table("trials").add_column("curve", str, not_null_default="")
