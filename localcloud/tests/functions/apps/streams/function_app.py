"""An app with Microsoft's FastAPI extension: its functions take FastAPI's requests and give FastAPI's responses."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator

import azure.functions as func
from azurefunctions.extensions.http.fastapi import (  # type: ignore[import-untyped]
    JSONResponse,
    Request,
    Response,
    StreamingResponse,
)
from fastapi import HTTPException

released = asyncio.Event()
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("echo/{name}", methods=["GET", "POST"])
async def echo(req: Request) -> Response:
    logging.info("echoing")
    content = {"name": req.path_params["name"], "query": str(req.query_params), "url": str(req.url)}
    response = JSONResponse({**content, "body": (await req.body()).decode()}, status_code=201)
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", samesite="none")
    return response


@app.route("sync")
def sync(req: Request) -> str:
    logging.info("running sync")
    return str(req.method)


@app.route("upload", methods=["POST"])
async def upload(req: Request) -> str:
    received = 0
    async for part in req.stream():
        received += len(part)
        logging.info("%d bytes so far", received)
    return str(received)


@app.route("download")
async def download(req: Request) -> Response:
    """Ends once `release` was called."""

    async def parts() -> AsyncIterator[str]:
        yield "first\n"
        await released.wait()
        yield "second\n"

    return StreamingResponse(parts())


@app.route("release")
async def release(req: Request) -> str:
    released.set()
    return "released"


@app.route("missing")
async def missing(req: Request) -> Response:
    raise HTTPException(404, "there is no such thing")


@app.route("broken")
async def broken(req: Request) -> Response:
    raise ValueError("broken on purpose")


@app.route("exits")
async def exits(req: Request) -> Response:
    sys.exit(3)


@app.route("slow")
async def slow(req: Request) -> str:
    await asyncio.sleep(60)
    return ""


@app.route("busy")
def busy(req: Request) -> str:
    logging.info("busy now")
    time.sleep(1)
    return "done"


@app.route("guarded", auth_level=func.AuthLevel.FUNCTION)
async def guarded(req: Request) -> str:
    return "open"


@app.route("send", methods=["POST"])
@app.service_bus_queue_output(arg_name="out", queue_name="results", connection="BUS")
async def send(req: Request, out: func.Out[str]) -> str:
    out.set((await req.body()).decode())
    return "sent"
