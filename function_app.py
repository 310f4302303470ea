"""The Functions app: registers the blueprints, nothing else."""

import azure.functions as func

from functions import (
    advance,
    approvals,
    events,
    failures,
    health,
    holds,
    lineage,
    openapi,
    promotions,
    reconcile,
    routes,
    sources,
    workers,
)
from shared.app import approvals_are_taken_here, roles_here, sign_in_is_required

COORDINATOR = (events, advance, promotions, routes, holds, lineage, failures, sources, openapi, reconcile)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if sign_in_is_required() else func.AuthLevel.FUNCTION)
OPTIONAL = (*(COORDINATOR if roles_here().coordinator else ()), *((approvals,) if approvals_are_taken_here() else ()))
for module in (*OPTIONAL, workers, health):
    app.register_functions(module.blueprint)
