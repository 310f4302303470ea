"""The Functions app: registers the blueprints, nothing else."""

import azure.functions as func

from functions import advance, intake, promotions, reconcile, workers

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in (intake.blueprint, advance.blueprint, workers.blueprint, promotions.blueprint, reconcile.blueprint):
    app.register_functions(blueprint)
