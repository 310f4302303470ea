"""The app's intake alone, as a plan that scales functions one by one runs it: nobody takes its messages away."""

import azure.functions as func

from functions import events

app = func.FunctionApp()
app.register_functions(events.blueprint)
