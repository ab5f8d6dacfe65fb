"""The fleet's tables, one schema change after the other; each is applied once and never edited."""

__all__ = ["MIGRATIONS"]

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

MIGRATIONS = Migrations("fleetnas.fleet")


@MIGRATIONS(name="0001_fleet")
def _fleet(db: Database) -> None:
    """Columns hold what is searched and what an operator looks at; BLOBs are fleetnas_protos.v1 messages."""
    db.table("join_tokens").create(
        {"secret_sha256": str, "device_id": str, "use_count": int, "expire_time": float},
        pk="secret_sha256",
        not_null={"device_id", "use_count", "expire_time"},
    )
    db.table("devices").create(
        {"name": str, "credential_sha256": str, "create_time": float, "device": bytes},
        pk="name",
        not_null={"credential_sha256", "create_time", "device"},
    )
    db.table("devices").create_index(["credential_sha256"], unique=True)
    db.table("measurements").create(
        {
            "number": int,
            "name": str,
            "state": str,
            "priority": int,
            "create_time": float,
            "update_time": float,
            "attempt_count": int,
            "crash_count": int,
            "device": str,
            "fencing_token": int,
            "lease_time": float,
            "expire_time": float,
            "retry_time": float,
            "fault_kind": str,
            "fault_message": str,
            "request": bytes,
            "target": bytes,
            "result": bytes,
        },
        pk="number",
        not_null={"name", "state", "create_time", "request"},
    )
    db.table("measurements").create_index(["name"], unique=True)
    db.table("measurements").create_index(["state"])
    db.table("leases").create(
        {"device": str, "fencing_token": int, "measurement": str, "lease_time": float},
        pk=("device", "fencing_token"),
        not_null={"measurement", "lease_time"},
    )


@MIGRATIONS(name="0002_grants")
def _grants(db: Database) -> None:
    """Certificates of the fleet's authority that hold; what is not here is revoked or was never signed."""
    db.table("grants").create(
        {"certificate_sha256": str, "name": str, "role": str, "create_time": float, "expire_time": float},
        pk="certificate_sha256",
        not_null={"name", "role", "create_time", "expire_time"},
    )
    db.table("grants").create_index(["name"])


@MIGRATIONS(name="0003_health")
def _health(db: Database) -> None:
    """Where each device stands, as JSON, and its latest checks."""
    db.table("health_standings").create({"device": str, "standing": str}, pk="device", not_null={"standing"})
    db.table("health_checks").create(
        {
            "device": str,
            "number": int,
            "check_time": float,
            "outcome": str,
            "reason": str,
            "health_check": bytes,
        },
        pk=("device", "number"),
        not_null={"check_time", "outcome", "reason", "health_check"},
    )


@MIGRATIONS(name="0003_searches")
def _searches(db: Database) -> None:
    """Searches that clients ask the controller for, and the trials of those that clients evaluate."""
    db.table("searches_served").create(
        {
            "name": str,
            "config": str,
            "state": str,
            "create_time": float,
            "reason": str,
            "result_json": str,
        },
        pk="name",
        not_null={"config", "state", "create_time", "reason", "result_json"},
    )
    db.table("told_trials").create(
        {
            "search": str,
            "number": int,
            "architecture": str,
            "worker": str,
            "state": str,
            "finish_order": int,
            "accuracy": float,
            "latencies": str,
            "macs": int,
            "params": int,
            "fault": str,
            "finish_time": float,
        },
        pk=("search", "number"),
        not_null={"architecture", "worker", "state", "finish_order"},
    )
    db.table("told_trials").create_index(["search", "finish_order"])


@MIGRATIONS(name="0004_enrolments")
def _enrolments(db: Database) -> None:
    """Which device came of an attempt to join, for as long as its token would hold."""
    db.table("enrolments").create(
        {"attempt_sha256": str, "device": str, "expire_time": float},
        pk="attempt_sha256",
        not_null={"device", "expire_time"},
    )
    db.table("enrolments").create_index(["device"])


@MIGRATIONS(name="0005_fault_file")
def _fault_file(db: Database) -> None:
    """Which network of a batch is to blame."""
    db.table("measurements").add_column("fault_file", str)
