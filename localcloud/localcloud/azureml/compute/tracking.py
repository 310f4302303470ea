"""What runs log, in MLflow's terms: experiments, runs, metrics, parameters and tags, stored in one SQLite file."""

import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
TABLES = """
CREATE TABLE IF NOT EXISTS experiments (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiments, name TEXT NOT NULL, user TEXT NOT NULL,
    status TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, artifacts TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS metrics (
    run TEXT NOT NULL REFERENCES runs, key TEXT NOT NULL, value REAL, timestamp INTEGER NOT NULL, step INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS metrics_by_run ON metrics (run, key, step, timestamp);
CREATE TABLE IF NOT EXISTS params (
    run TEXT NOT NULL REFERENCES runs, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)
);
CREATE TABLE IF NOT EXISTS tags (
    run TEXT NOT NULL REFERENCES runs, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)
);
CREATE TABLE IF NOT EXISTS logged_models (id TEXT PRIMARY KEY, model TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS links (run TEXT NOT NULL REFERENCES runs, kind TEXT NOT NULL, link TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS links_by_run ON links (run, kind);
"""
#: The URI of the folder for a run's artifacts, from the ids of its experiment and of the run.
ArtifactAddress = Callable[[str, str], str]
#: As MLflow's API has it: `info` with `model_id`, `artifact_uri` and so on, and `data`.
LoggedModel = dict[str, dict[str, Any]]


class TrackingError(Exception):
    """A request that cannot be fulfilled, with MLflow's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Metric(NamedTuple):
    """One value of a metric; `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class Experiment:
    """A named group of runs."""

    id: str
    name: str
    #: Milliseconds since 1970.
    created: int


@dataclass(frozen=True)
class Run:
    """One run. In Azure ML its id is the name of the job. Times are in milliseconds since 1970."""

    id: str
    experiment_id: str
    name: str
    user: str
    status: str
    started: int
    ended: int | None
    #: URI of the folder for its artifacts.
    artifacts: str
    deleted: bool


@dataclass(frozen=True)
class RunInfo:
    """What a run is created with, beside its tags."""

    name: str | None = None  #: default: its id
    user: str = ""
    started: int | None = None  #: milliseconds since 1970; default: now


class Tracking:
    """The runs of one workspace. To be used from one thread."""

    def __init__(self, database: Path, address: ArtifactAddress) -> None:
        """`address` says where the artifacts of a run are."""
        self._address = address
        database.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(database)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(TABLES)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def start_run(
        self,
        run_id: str,
        experiment: str,
        tags: Mapping[str, str],
        info: RunInfo = RunInfo(),
    ) -> None:
        """Starts a run in the experiment of that name, and creates the experiment if it is new. An existing run with
        that id runs again and keeps what it logged.
        """
        with self._database:
            self._database.execute(
                "INSERT OR IGNORE INTO experiments (name, created) VALUES (?, ?)", (experiment, now())
            )
            self._database.execute(
                "INSERT INTO runs (id, experiment, name, user, status, started, artifacts)"
                " SELECT ?, id, ?, ?, 'RUNNING', ?, '' FROM experiments WHERE name = ?"
                " ON CONFLICT (id) DO UPDATE SET status = 'RUNNING', ended = NULL",
                (
                    *(run_id, info.name or run_id, info.user),
                    *(now() if info.started is None else info.started, experiment),
                ),
            )
            self._set_tags(run_id, tags)

    def artifacts_of(self, experiment_id: str, run_id: str) -> str:
        """URI of the folder that `mlflow.log_artifact` puts files into: a job's default output, as in Azure."""
        return self._address(experiment_id, run_id)

    def end_run(self, run_id: str, status: str) -> None:
        """Records how a run ended: FINISHED, FAILED or KILLED."""
        self.update_run(run_id, status=status, ended=now())

    def update_run(
        self, run_id: str, *, status: str | None = None, ended: int | None = None, name: str | None = None
    ) -> None:
        """Changes what is given and keeps the rest. A run that runs again loses its end."""
        self.run(run_id)
        if status is not None and status not in STATUSES:
            raise TrackingError("INVALID_PARAMETER_VALUE", f"status must be one of {', '.join(STATUSES)}")
        with self._database:
            self._database.execute(
                "UPDATE runs SET status = COALESCE(:status, status), name = COALESCE(:name, name), ended = CASE"
                " WHEN :status IN ('RUNNING', 'SCHEDULED') THEN NULL ELSE COALESCE(:ended, ended) END WHERE id = :run",
                {"status": status, "name": name, "ended": ended, "run": run_id},
            )

    def set_deleted(self, run_id: str, deleted: bool) -> None:
        """Deletes or restores a run; it stays readable by its id."""
        self.run(run_id)
        with self._database:
            self._database.execute("UPDATE runs SET deleted = ? WHERE id = ?", (deleted, run_id))

    def log(
        self,
        run_id: str,
        *,
        metrics: Iterable[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Records everything, or nothing if a parameter already has another value."""
        self.run(run_id)
        known = self.params(run_id)
        for key, value in (params or {}).items():
            if known.get(key, value) != value:
                raise TrackingError(
                    "INVALID_PARAMETER_VALUE",
                    f"Parameter {key} of run {run_id} is {known[key]!r} and cannot be changed to {value!r}.",
                )
        with self._database:
            self._database.executemany(
                # Clients may send a value again: equal values of the same moment count once.
                "INSERT INTO metrics SELECT :run, :key, :value, :timestamp, :step"
                " WHERE NOT EXISTS (SELECT 1 FROM metrics WHERE run = :run AND key = :key AND value IS :value"
                " AND timestamp = :timestamp AND step = :step)",
                ({"run": run_id, **metric._asdict()} for metric in metrics),
            )
            self._database.executemany(
                "INSERT OR IGNORE INTO params VALUES (?, ?, ?)", ((run_id, *item) for item in (params or {}).items())
            )
            self._set_tags(run_id, tags or {})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes an existing tag."""
        if key not in self.tags(run_id):
            raise TrackingError("RESOURCE_DOES_NOT_EXIST", f"No tag {key!r} on run {run_id}.")
        with self._database:
            self._database.execute("DELETE FROM tags WHERE run = ? AND key = ?", (run_id, key))

    def run(self, run_id: str) -> Run:
        """The run with that id; TrackingError if there is none."""
        for run in self._runs("WHERE id = ?", run_id):
            return run
        raise TrackingError("RESOURCE_DOES_NOT_EXIST", f"Run {run_id!r} not found.")

    def runs(self, experiment_ids: Iterable[str]) -> list[Run]:
        """All runs of these experiments, the newest first, deleted ones included."""
        ids = list(experiment_ids)
        return list(self._runs(f"WHERE experiment IN ({', '.join('?' * len(ids))}) ORDER BY started DESC, id", *ids))

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        return {metric.key: metric.value for metric in self.last_metrics(run_id)}

    def last_metrics(self, run_id: str) -> list[Metric]:
        """The value of each metric at its highest step; the latest if there are several."""
        return list({metric.key: metric for metric in self._metrics("WHERE run = ?", run_id)}.values())

    def metric_history(self, run_id: str, key: str) -> list[Metric]:
        """All values of a metric, in the order of steps."""
        self.run(run_id)
        return self._metrics("WHERE run = ? AND key = ?", run_id, key)

    def params(self, run_id: str) -> dict[str, str]:
        """The parameters of a run."""
        return self._pairs("params", run_id)

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        return self._pairs("tags", run_id)

    def link(self, run_id: str, kind: str, links: Iterable[Mapping[str, Any]]) -> None:
        """Records what a run reads or makes; `kind` is `dataset_inputs`, `model_inputs` or `model_outputs`."""
        self.run(run_id)
        with self._database:
            self._database.executemany(
                "INSERT INTO links VALUES (?, ?, ?)", ((run_id, kind, json.dumps(link)) for link in links)
            )

    def links(self, run_id: str, kind: str) -> list[Mapping[str, Any]]:
        """What was linked to a run, in that order."""
        rows = self._database.execute(
            "SELECT link FROM links WHERE run = ? AND kind = ? ORDER BY rowid", (run_id, kind)
        )
        return [json.loads(link) for (link,) in rows]

    def logged_model(self, model_id: str) -> LoggedModel:
        """The logged model with that id; TrackingError if there is none."""
        for (model,) in self._database.execute("SELECT model FROM logged_models WHERE id = ?", (model_id,)):
            found: LoggedModel = json.loads(model)
            return found
        raise TrackingError("RESOURCE_DOES_NOT_EXIST", f"Logged model {model_id!r} not found.")

    def logged_models(self) -> list[LoggedModel]:
        """All logged models, the newest first."""
        rows = self._database.execute("SELECT model FROM logged_models ORDER BY rowid DESC")
        return [json.loads(model) for (model,) in rows]

    def save_logged_model(self, model: LoggedModel) -> None:
        """Keeps a new logged model, or one that was changed."""
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO logged_models VALUES (?, ?)", (model["info"]["model_id"], json.dumps(model))
            )

    def create_experiment(self, name: str) -> Experiment:
        """Makes an experiment; TrackingError when one of that name exists."""
        try:
            with self._database:
                self._database.execute("INSERT INTO experiments (name, created) VALUES (?, ?)", (name, now()))
        except sqlite3.IntegrityError as exists:
            raise TrackingError("RESOURCE_ALREADY_EXISTS", f"Experiment {name!r} already exists.") from exists
        return self.experiment_by_name(name)

    def experiments(self) -> list[Experiment]:
        """All experiments, the newest first."""
        return self._experiments("ORDER BY id DESC")

    def experiment(self, experiment_id: str) -> Experiment:
        """The experiment with that id; TrackingError if there is none."""
        for experiment in self._experiments("WHERE id = ?", experiment_id):
            return experiment
        raise TrackingError("RESOURCE_DOES_NOT_EXIST", f"No experiment with the id {experiment_id} exists.")

    def experiment_by_name(self, name: str) -> Experiment:
        """The experiment with that name; TrackingError if there is none."""
        for experiment in self._experiments("WHERE name = ?", name):
            return experiment
        raise TrackingError("RESOURCE_DOES_NOT_EXIST", f"No experiment with the name {name!r} exists.")

    def _experiments(self, rest: str, *values: Any) -> list[Experiment]:
        rows = self._database.execute(f"SELECT id, name, created FROM experiments {rest}", values)
        return [Experiment(str(number), name, created) for number, name, created in rows]

    def _runs(self, rest: str, *values: Any) -> list[Run]:
        rows = self._database.execute(
            f"SELECT id, experiment, name, user, status, started, ended, deleted FROM runs {rest}", values
        )
        return [
            Run(
                *(number, str(experiment), name, user, status, started, ended),
                artifacts=self._address(str(experiment), number),
                deleted=bool(deleted),
            )
            for number, experiment, name, user, status, started, ended, deleted in rows
        ]

    def _metrics(self, condition: str, *values: Any) -> list[Metric]:
        rows = self._database.execute(
            f"SELECT key, value, timestamp, step FROM metrics {condition} ORDER BY key, step, timestamp, value", values
        )
        # SQLite has no NaN and keeps NULL for it.
        return [Metric(key, math.nan if value is None else value, *moment) for key, value, *moment in rows]

    def _pairs(self, table: str, run_id: str) -> dict[str, str]:
        self.run(run_id)
        return dict(self._database.execute(f"SELECT key, value FROM {table} WHERE run = ? ORDER BY key", (run_id,)))

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._database.executemany(
            "INSERT INTO tags VALUES (?, ?, ?) ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
            ((run_id, *item) for item in tags.items()),
        )


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
