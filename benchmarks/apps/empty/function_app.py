"""A function app without functions: what indexing costs at the least."""

import azure.functions as func

app = func.FunctionApp()
