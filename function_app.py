"""The Functions app: registers the blueprints, nothing else."""

import azure.functions as func

from functions import advance, intake, openapi, promotions, reconcile, routes, workers
from shared.app import sign_in_is_required

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if sign_in_is_required() else func.AuthLevel.FUNCTION)
for module in (intake, advance, workers, promotions, routes, openapi, reconcile):
    app.register_functions(module.blueprint)
