"""Scoring code of a deployment that fails at once."""


def init() -> None:
    raise RuntimeError("this deployment is to fail")


def run(body: str) -> None: ...
