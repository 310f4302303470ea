"""Wires the control plane together: the only place that knows all of its parts."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.azureml.assets import Assets
from localcloud.azureml.batch_endpoints import BatchEndpoints
from localcloud.azureml.batch_invocations import BatchInvocations
from localcloud.azureml.batch_jobs import BatchJobs
from localcloud.azureml.blobs import Blobs
from localcloud.azureml.command_jobs import CommandJobs, JobAccess, Platform
from localcloud.azureml.compute import mlflow
from localcloud.azureml.compute.jobs import JobRunner
from localcloud.azureml.compute.servers import InferenceServers
from localcloud.azureml.compute.tracking import Tracking
from localcloud.azureml.configuration import Settings
from localcloud.azureml.container_load import ContainerLoad
from localcloud.azureml.data_collector import DataCollector
from localcloud.azureml.datastores import Datastores
from localcloud.azureml.deployments import Deployments, Machines
from localcloud.azureml.endpoints import Endpoints
from localcloud.azureml.event_subscriptions import EventSubscriptions
from localcloud.azureml.events import Outbox
from localcloud.azureml.faults import Faults
from localcloud.azureml.forwarding import Forwarding
from localcloud.azureml.history import History
from localcloud.azureml.job_identity import JobIdentity
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.job_requirements import JobRequirements
from localcloud.azureml.jobs import JobKinds, Jobs
from localcloud.azureml.metrics import Metrics
from localcloud.azureml.mirroring import Mirroring
from localcloud.azureml.mlflow_registry import MlflowRegistry
from localcloud.azureml.monitors import Monitors
from localcloud.azureml.operations import Operations
from localcloud.azureml.permissions import Permissions
from localcloud.azureml.pipeline_jobs import PipelineJobs
from localcloud.azureml.registry import Registry
from localcloud.azureml.requests_log import RequestsLog
from localcloud.azureml.rights import Rights
from localcloud.azureml.run_artifacts import RunArtifacts, artifact_address
from localcloud.azureml.schedule_clock import Clock
from localcloud.azureml.schedules import Schedules
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.scoring import RequestRecords, Scoring
from localcloud.azureml.shared_parts import SharedParts
from localcloud.azureml.step_reuse import StepReuse
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Store
from localcloud.azureml.traffic_figures import TrafficFigures
from localcloud.azureml.usages import Usages
from localcloud.azureml.wire import AzureError
from localcloud.azureml.workspaces import Workspaces
from localcloud.identity.key_file import read_or_make_key

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def control_plane(
    settings: Settings, folder: Path, port: int, certificate_authority: Path
) -> AsyncIterator[web.Application]:
    """The application for `https://localhost:PORT`, at work inside the block; all state is under `folder`."""
    parts = _Parts(settings, folder, port, certificate_authority)
    application = web.Application(
        middlewares=[parts.requests_log.middleware, _errors, parts.rights.middleware, parts.faults.middleware],
        client_max_size=1 << 26,
    )
    for routes in parts.routes():
        application.add_routes(routes)
    await parts.resume()
    running = [asyncio.create_task(each) for each in parts.at_work()]
    try:
        yield application
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await parts.close()


class _Parts:
    """All parts of the control plane; each uses those above it."""

    def __init__(self, settings: Settings, folder: Path, port: int, certificate_authority: Path) -> None:
        self._folder = folder
        self._port = port
        self._base_url = f"https://localhost:{port}"
        self.requests_log = RequestsLog()
        self.faults = Faults(settings.faults)
        self.scopes = Scopes(settings)
        self.store = Store(folder / "state.sqlite")
        signature_key = self.store.secret("signatures", secrets.token_hex(32))
        self.storage = Storage(folder / "blobs", signature_key, self._base_url)
        self.rights = self._made_rights(settings)
        identity_key = self.store.secret("job identities", secrets.token_hex(32))
        self.job_identity = JobIdentity(self.rights, self._base_url, identity_key)
        self.event_subscriptions = EventSubscriptions(settings, self.scopes)
        status_key = self.store.secret("operations", secrets.token_hex(32))
        self.operations = Operations(self.store.database, self._base_url, self.rights, status_key, self.faults)
        self.outbox = Outbox(self.store.database, self.scopes)
        self.servers = InferenceServers(folder / "deployments", settings.python)
        self.trackings = {
            w.path: Tracking(folder / "tracking" / f"{w.name}.sqlite", partial(artifact_address, w, self._base_url))
            for w in self.scopes.workspaces
        }
        self.records = JobRecords(self.store, self.storage, self.outbox, self.trackings)
        self._shared = SharedParts(self.store, self.scopes, self.rights, self.operations, self.outbox, self.faults)
        self.assets = Assets(self._shared, self.storage, self.records, settings.environment_build_seconds)
        self.endpoints = Endpoints(
            self.store, self.scopes, self.operations, self._base_url, settings.endpoint_update_seconds
        )
        self.usages = Usages(self.store, self.scopes, self.rights, settings.quotas)
        self.deployments = self._made_deployments(settings)
        self.figures = TrafficFigures(self.store, settings.metrics.delay_seconds, settings.metrics.minute_seconds)
        self.forwarding = Forwarding(self.deployments, self.servers)
        self.mirroring = Mirroring(self.store, settings.metrics.counts_mirrored)
        self.scoring = self._made_scoring()
        self.command_jobs = self._made_command_jobs(settings, certificate_authority)
        pipeline_jobs = PipelineJobs(self.records, self.assets, self.command_jobs, StepReuse(self.records))
        requirements = JobRequirements(self.assets)
        self.jobs = Jobs(
            self._shared,
            self.records,
            JobKinds(self.command_jobs, pipeline_jobs),
            requirements,
            settings.cancellation_seconds,
        )
        batch_jobs = BatchJobs(self.records, self.command_jobs)
        self.batch_invocations = BatchInvocations(self._shared, self.records, self.jobs, batch_jobs)
        self.batch_endpoints = BatchEndpoints(
            self._shared, self.assets, self._base_url, settings.endpoint_update_seconds
        )

        clock = Clock(settings.schedule_clock, float(self.store.secret("schedule clock", str(time.time()))))
        monitors = Monitors(self.records, self.faults)
        self.schedules = Schedules(self._shared, self.jobs, monitors, clock)

    def _made_rights(self, settings: Settings) -> Rights:
        token_key = read_or_make_key(settings.token_key) if settings.token_key else None
        job_key = self.store.secret("job tokens", secrets.token_hex(32))
        return Rights(self.scopes, token_key, settings.role_assignments, settings.custom_roles, job_key)

    def _made_deployments(self, settings: Settings) -> Deployments:
        machines = Machines(self.servers, self.usages, settings.deployment_seconds)
        return Deployments(self._shared, self.assets, self.endpoints, machines)

    def _made_scoring(self) -> Scoring:
        records = RequestRecords(self.figures, DataCollector(self.storage, self.assets))
        return Scoring(self._shared, self.forwarding, self.mirroring, records)

    def _made_command_jobs(self, settings: Settings, certificate_authority: Path) -> CommandJobs:
        runners = {w.path: JobRunner(self._folder / "jobs" / w.name, settings.python) for w in self.scopes.workspaces}
        platform = Platform(
            self._base_url,
            certificate_authority,
            settings.job_start_seconds,
            settings.environment_build_seconds,
            runners,
        )
        access = JobAccess(self.job_identity, self.rights, self.storage)
        return CommandJobs(self.records, self.assets, access, self.faults, platform)

    def routes(self) -> Iterator[Sequence[web.RouteDef]]:
        """The routes of every part. If two match, the first one answers."""
        yield Workspaces(self.scopes, self.rights, self._base_url).routes()
        yield Datastores(self.scopes, self.storage, f"localhost:{self._port}").routes()
        yield Blobs(self.storage, self.store.database, self._folder / "uploads").routes()
        yield self.assets.routes()
        yield Registry(self._shared, self.storage, self.assets, self._base_url).routes()
        yield Permissions(self.scopes, self.rights).routes()
        yield self.event_subscriptions.routes()
        yield self.endpoints.routes()
        yield self.deployments.routes()
        yield self.scoring.routes()
        yield self.usages.routes()
        yield self.batch_endpoints.routes()
        yield self.batch_invocations.routes()
        yield Metrics(self.store, self.scopes, self.figures).routes()
        yield self.jobs.routes()
        yield self.schedules.routes()
        yield History(self.scopes, self.records, self.command_jobs, self.storage, self._base_url).routes()
        for workspace in self.scopes.workspaces:
            prefix, tracking = f"/mlflow/v1.0{workspace.path}", self.trackings[workspace.path]
            yield mlflow.routes(tracking, prefix)
            yield MlflowRegistry(workspace, tracking, self.assets).routes(prefix)
            yield RunArtifacts(workspace, self.records, self.storage).routes(prefix)
        yield self.operations.routes()
        yield self.job_identity.routes()
        yield self.faults.routes(self.deployments.crash_where_told)
        yield self.requests_log.routes()

    def at_work(self) -> Iterator[Coroutine[None, None, None]]:
        """What runs for as long as the control plane does."""
        yield self.outbox.deliver()
        yield self.schedules.run_by_the_clock()
        yield ContainerLoad(self.store, self.servers, self.figures).measure()

    async def resume(self) -> None:
        """Resumes interrupted work."""
        await self.forwarding.start()
        self.jobs.fail_interrupted()
        self.deployments.bring_back()
        self.operations.resume()

    async def close(self) -> None:
        """Stops running work, then what it uses."""
        await self.operations.close()
        await self.jobs.close()
        await self.deployments.close()
        await self.servers.close()
        await self.mirroring.close()
        await self.forwarding.close()
        self.figures.close()
        for tracking in self.trackings.values():
            tracking.close()
        self.store.close()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives every error Azure's shape, including errors of the router."""
    try:
        return await handler(request)
    except AzureError as error:
        return error.response()
    except web.HTTPException as refused:
        if refused.status not in (404, 405):
            raise
        words = "There is nothing at" if refused.status == 404 else f"{request.method} is not supported at"
        return AzureError(refused.status, refused.reason.replace(" ", ""), f"{words} {request.path}.").response()
    except web.RequestPayloadError:
        return AzureError(400, "InvalidRequestContent", "The request's body is not encoded as declared.").response()
    except Exception:
        log.exception("%s %s broke", request.method, request.path)
        return AzureError(500, "InternalServerError", "An internal server error occurred; see the log.").response()
