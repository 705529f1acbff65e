"""The tables of archloss, which stand beside Optuna's in the same database.

archloss_schema   one row: the version of these tables
archloss_studies  what a study was launched with
archloss_leases   a row per driver that ever worked on a study, with its heartbeat and machine
archloss_trials   who runs a trial (`lease_id`; empty while it is paused or finished), how it ended,
                  how often it was retried, and the token of the call that changed it last
archloss_curves   one metric of one replicate over the epochs of one rung, float64
archloss_tests    metrics on the test split, which the search never reads
archloss_arrays   checkpoints of unfinished trials, weights of the best finished ones

Rows go when Optuna's study or trial goes; SQLite sees to it only for programs that ask it to,
which plain Optuna does not: a token in both places tells whether a study is still the same one.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 2

metadata = sa.MetaData()


def _study_key() -> sa.ForeignKey:
    return sa.ForeignKey("studies.study_id", ondelete="CASCADE")


def _trial_key() -> sa.ForeignKey:
    return sa.ForeignKey("archloss_trials.trial_id", ondelete="CASCADE")


# Optuna makes and owns these two; here they only give our foreign keys something to point at.
sa.Table("studies", metadata, sa.Column("study_id", sa.Integer, primary_key=True))
sa.Table("trials", metadata, sa.Column("trial_id", sa.Integer, primary_key=True))

schema = sa.Table(
    "archloss_schema",
    metadata,
    sa.Column("schema_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)

studies = sa.Table(
    "archloss_studies",
    metadata,
    sa.Column("study_id", sa.Integer, _study_key(), primary_key=True, autoincrement=False),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("digest", sa.String(128), nullable=False),
    sa.Column("fingerprint", sa.String(128), nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("locked_by", sa.Integer),
    sa.Column("stop_requested_s", sa.Float(53)),
)

leases = sa.Table(
    "archloss_leases",
    metadata,
    sa.Column("lease_id", sa.Integer, primary_key=True),
    sa.Column("study_id", sa.Integer, _study_key(), nullable=False, index=True),
    sa.Column("host", sa.String(512), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started_s", sa.Float(53), nullable=False),
    sa.Column("renewed_s", sa.Float(53), nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("opened_s", sa.Float(53), nullable=False, server_default="0"),
    sa.Column("kernel", sa.String(64), nullable=False, server_default=""),
    sa.Column("token", sa.String(64)),
    sqlite_autoincrement=True,
)

trials = sa.Table(
    "archloss_trials",
    metadata,
    sa.Column(
        "trial_id",
        sa.Integer,
        sa.ForeignKey("trials.trial_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("study_id", sa.Integer, _study_key(), nullable=False, index=True),
    sa.Column("lease_id", sa.Integer),
    sa.Column("outcome", sa.String(32)),
    sa.Column("message", sa.Text),
    sa.Column("seconds", sa.Float(53)),
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("token", sa.String(64)),
)

curves = sa.Table(
    "archloss_curves",
    metadata,
    sa.Column("trial_id", sa.Integer, _trial_key(), primary_key=True, autoincrement=False),
    sa.Column("replicate", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("metric", sa.String(64), primary_key=True),
    sa.Column("first_epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch_values", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

tests = sa.Table(
    "archloss_tests",
    metadata,
    sa.Column("trial_id", sa.Integer, _trial_key(), primary_key=True, autoincrement=False),
    sa.Column("replicate", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("metric", sa.String(64), primary_key=True),
    sa.Column("metric_value", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

arrays = sa.Table(
    "archloss_arrays",
    metadata,
    sa.Column("trial_id", sa.Integer, _trial_key(), primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("replicate", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epochs_done", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

OURS = tuple(table for table in metadata.sorted_tables if table.name.startswith("archloss_"))
