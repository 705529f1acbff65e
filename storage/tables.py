"""Our tables, beside Optuna's in the same database.

They refer to Optuna's studies and trials by id, without foreign keys: deleting a study with
Optuna's own tools must go on working. Rows that are left over then are swept when the next
study is made, for a database may give the same ids again.
"""

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1

metadata = MetaData()

versions = Table(
    "archloss_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("archloss_version", String(64), nullable=False),
)

studies = Table(
    "archloss_studies",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("spec", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("environment", JSON, nullable=False),
    Column("created_at", DateTime, nullable=False),  # naive UTC, as Optuna's times are
)

leases = Table(
    "archloss_leases",
    metadata,
    Column("lease_id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(precision=53), nullable=False),  # seconds since 1970
    Column("renewed_at", Float(precision=53), nullable=False),  # seconds since 1970
)

trials = Table(
    "archloss_trials",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False, index=True),
    Column("lease_id", Integer),  # the driver that is running it
    Column("outcome", String(32)),
    Column("message", Text),
    Column("seconds", Float(precision=53), nullable=False, default=0.0),
    Column("test", JSON),
)

curves = Table(
    "archloss_curves",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("replicate", Integer, primary_key=True, autoincrement=False),
    Column("metric", String(64), primary_key=True),
    Column("first_epoch", Integer, primary_key=True, autoincrement=False),
    Column("numbers", LargeBinary, nullable=False),  # little-endian float64
)

# A replicate's state: "checkpoint" of a trial that goes on, "weights" of one of the best.
states = Table(
    "archloss_states",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("replicate", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False),
    Column("epochs_done", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("arrays", LargeBinary, nullable=False),  # safetensors
    Index("ix_archloss_states_study_kind", "study_id", "kind"),
)
