"""The tables of the latency store, change by change. An applied change is never edited: a new one is added.

Names and types are those that PostgreSQL has too; times are seconds since 1970.
"""

__all__ = ["MIGRATIONS"]

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

MIGRATIONS = Migrations("fleetnas_latency")


@MIGRATIONS()
def m001_first_tables(db: Database) -> None:
    db.execute("""
        CREATE TABLE targets (
            target_key TEXT PRIMARY KEY,
            device_model TEXT NOT NULL,
            runtime TEXT NOT NULL,
            runtime_version TEXT NOT NULL,
            thread_count INTEGER NOT NULL,
            core_set TEXT NOT NULL,
            precision_name TEXT NOT NULL,
            statistic TEXT NOT NULL,
            stand_in TEXT NOT NULL
        )""")
    db.execute("""
        CREATE TABLE latency_observations (
            measurement_id TEXT PRIMARY KEY,
            target_key TEXT NOT NULL REFERENCES targets (target_key),
            kind TEXT NOT NULL,
            space TEXT NOT NULL,
            entry_key TEXT NOT NULL,
            operator_json TEXT,
            value_ms DOUBLE PRECISION NOT NULL,
            low_ms DOUBLE PRECISION NOT NULL,
            high_ms DOUBLE PRECISION NOT NULL,
            std_ms DOUBLE PRECISION NOT NULL,
            level DOUBLE PRECISION NOT NULL,
            ratio DOUBLE PRECISION,
            ratio_low DOUBLE PRECISION,
            ratio_high DOUBLE PRECISION,
            ratio_level DOUBLE PRECISION,
            anchor_key TEXT NOT NULL,
            anchor_ms DOUBLE PRECISION NOT NULL,
            verdict TEXT NOT NULL,
            source TEXT NOT NULL,
            agent TEXT NOT NULL,
            model_sha256 TEXT NOT NULL,
            created_time DOUBLE PRECISION NOT NULL
        )""")
    db.execute(
        "CREATE INDEX latency_observations_by_entry ON latency_observations (target_key, entry_key, created_time)"
    )
    db.execute("""
        CREATE TABLE latency_entries (
            target_key TEXT NOT NULL REFERENCES targets (target_key),
            space TEXT NOT NULL,
            entry_key TEXT NOT NULL,
            operator_json TEXT,
            mean_ms DOUBLE PRECISION NOT NULL,
            std_ms DOUBLE PRECISION NOT NULL,
            source TEXT NOT NULL,
            observation_count INTEGER NOT NULL,
            updated_time DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (target_key, space, entry_key)
        )""")
