"""Wires the control plane together: the only place that knows all of its parts."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.azureml.assets import Assets
from localcloud.azureml.blobs import Blobs
from localcloud.azureml.command_jobs import CommandJobs, Platform
from localcloud.azureml.compute import mlflow
from localcloud.azureml.compute.jobs import JobRunner
from localcloud.azureml.compute.servers import InferenceServers
from localcloud.azureml.compute.tracking import Tracking
from localcloud.azureml.configuration import Settings
from localcloud.azureml.datastores import Datastores
from localcloud.azureml.deployments import Deployments
from localcloud.azureml.endpoints import Endpoints
from localcloud.azureml.events import Outbox
from localcloud.azureml.faults import Faults
from localcloud.azureml.history import History
from localcloud.azureml.job_records import JobRecords
from localcloud.azureml.jobs import Jobs
from localcloud.azureml.operations import Operations
from localcloud.azureml.permissions import Permissions
from localcloud.azureml.pipeline_jobs import PipelineJobs
from localcloud.azureml.registry import Registry
from localcloud.azureml.requests_log import RequestsLog
from localcloud.azureml.rights import Rights
from localcloud.azureml.scopes import Scopes
from localcloud.azureml.scoring import Scoring
from localcloud.azureml.storage import Storage
from localcloud.azureml.store import Store
from localcloud.azureml.wire import AzureError
from localcloud.azureml.workspaces import Workspaces
from localcloud.identity.tokens import read_or_make_key

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def control_plane(
    settings: Settings, folder: Path, port: int, certificate_authority: Path
) -> AsyncIterator[web.Application]:
    """The application for `https://localhost:PORT`, at work inside the block; all state is under `folder`."""
    base_url = f"https://localhost:{port}"
    store = Store(folder / "state.sqlite")
    database = store.database
    scopes = Scopes(settings)
    storage = Storage(folder / "blobs", store.secret("signatures", secrets.token_hex(32)), base_url)
    token_key = read_or_make_key(settings.token_key) if settings.token_key else None
    job_key = store.secret("job tokens", secrets.token_hex(32))
    rights = Rights(scopes, token_key, settings.role_assignments, job_key)
    operations = Operations(database, base_url)
    outbox = Outbox(database, scopes)
    servers = InferenceServers(folder / "deployments", settings.python)
    trackings = {
        w.path: Tracking(folder / "tracking" / f"{w.name}.sqlite", storage.artifacts(w)) for w in scopes.workspaces
    }
    records = JobRecords(store, storage, outbox, trackings)
    assets = Assets(store, scopes, storage, records, operations, outbox)
    endpoints = Endpoints(store, scopes, operations, base_url)
    faults = Faults(settings.faults)
    deployments = Deployments(
        store, scopes, assets, endpoints, operations, outbox, faults, servers, settings.deployment_seconds
    )
    scoring = Scoring(store, scopes, deployments, servers)
    runners = {w.path: JobRunner(folder / "jobs" / w.name, settings.python) for w in scopes.workspaces}
    platform = Platform(base_url, certificate_authority, settings.job_start_seconds)
    command_jobs = CommandJobs(records, assets, storage, rights, runners, platform)
    pipeline_jobs = PipelineJobs(records, assets, command_jobs)
    jobs = Jobs(scopes, records, command_jobs, pipeline_jobs, operations)
    requests_log = RequestsLog()

    application = web.Application(
        middlewares=[requests_log.middleware, _errors, rights.middleware, faults.middleware], client_max_size=1 << 26
    )
    for routes in (
        Workspaces(scopes, base_url).routes(),
        Datastores(scopes, storage, f"localhost:{port}").routes(),
        Blobs(storage, database, folder / "uploads").routes(),
        assets.routes(),
        Registry(store, scopes, storage, assets, operations, rights, base_url).routes(),
        Permissions(scopes, rights).routes(),
        endpoints.routes(),
        deployments.routes(),
        scoring.routes(),
        jobs.routes(),
        History(scopes, records, command_jobs, storage, base_url).routes(),
        *(mlflow.routes(tracking, f"/mlflow/v1.0{path}") for path, tracking in trackings.items()),
        operations.routes(),
        faults.routes(deployments.crash_where_told),
        requests_log.routes(),
    ):
        application.add_routes(routes)

    await scoring.start()
    jobs.fail_interrupted()
    deployments.bring_back()
    operations.resume()
    delivery = asyncio.create_task(outbox.deliver())
    try:
        yield application
    finally:
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        await operations.close()
        await jobs.close()
        await deployments.close()
        await servers.close()
        await scoring.close()
        for tracking in trackings.values():
            tracking.close()
        store.close()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives every error Azure's shape, those of the router too."""
    try:
        return await handler(request)
    except AzureError as error:
        return error.response()
    except web.HTTPException as refused:
        if refused.status not in (404, 405):
            raise
        words = "There is nothing at" if refused.status == 404 else f"{request.method} is not supported at"
        return AzureError(refused.status, refused.reason.replace(" ", ""), f"{words} {request.path}.").response()
    except Exception:
        log.exception("%s %s broke", request.method, request.path)
        return AzureError(500, "InternalServerError", "An internal server error occurred; see the log.").response()
