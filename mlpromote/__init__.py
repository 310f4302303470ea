"""The command line of mlpromote: a client of the app's HTTP API that knows nothing of the app's inside."""
