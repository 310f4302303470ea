"""Wires the control plane together: the only place that knows all of its parts."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.azureml.assets import Assets
from localcloud.azureml.blobs import Blobs
from localcloud.azureml.compute.servers import InferenceServers
from localcloud.azureml.configuration import Settings
from localcloud.azureml.datastores import Datastores
from localcloud.azureml.deployments import Deployments
from localcloud.azureml.endpoints import Endpoints
from localcloud.azureml.events import Outbox
from localcloud.azureml.faults import Faults
from localcloud.azureml.operations import Operations
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


@contextlib.asynccontextmanager
async def control_plane(settings: Settings, folder: Path, port: int) -> AsyncIterator[web.Application]:
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
    assets = Assets(store, scopes, storage, operations, outbox)
    endpoints = Endpoints(store, scopes, operations, base_url)
    deployments = Deployments(
        store, scopes, storage, assets, endpoints, operations, outbox, servers, settings.deployment_seconds
    )
    faults = Faults(settings.faults, deployments.crash)
    deployments.faults = faults
    scoring = Scoring(store, scopes, deployments, servers)
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
        endpoints.routes(),
        deployments.routes(),
        scoring.routes(),
        operations.routes(),
        faults.routes(),
        requests_log.routes(),
    ):
        application.add_routes(routes)

    await scoring.start()
    deployments.bring_back()
    operations.resume()
    delivery = asyncio.create_task(outbox.deliver())
    try:
        yield application
    finally:
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        await operations.close()
        await deployments.close()
        await servers.close()
        await scoring.close()
        store.close()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives every error Azure's shape, those of the router too."""
    try:
        return await handler(request)
    except AzureError as error:
        return error.response()
    except web.HTTPNotFound:
        return AzureError(404, "NotFound", f"There is nothing at {request.path}.").response()
    except web.HTTPMethodNotAllowed:
        return AzureError(405, "MethodNotAllowed", f"{request.method} is not supported here.").response()
