"""Measures the stores: a page of promotions out of many against one out of a few, and their throughput.

Uses SQLite as on one machine, and Azure Tables in Azurite if that is installed. Azurite is one process that scans every
row for each query, so its times grow with the number of rows, unlike Azure's. What carries over to Azure, and is
billed, is the number of requests.
"""

from pathlib import Path
from statistics import median

from benchmarks.children import answer_of
from benchmarks.figures import Comparison, Finding, Table, Target
from benchmarks.progress import Progress
from benchmarks.stores_use import FEW, PAGE, Pages, Use
from localcloud.testing import azurite

#: How many promotions the large store has. In Azurite, 10,000 would take a quarter of an hour.
MANY = {"sqlite": 10_000, "tables": 500}
NAMES = {"sqlite": "SQLite", "tables": "Azure Tables in Azurite"}
#: "The same", with a margin for other load on the machine.
TARGET = Target(1.2, at_least=False)


async def measure(folder: Path, progress: Progress) -> list[Finding]:
    findings: list[Finding] = []
    kinds = ["sqlite"] if azurite.missing() else list(MANY)
    for number, kind in enumerate(kinds):
        progress(number, len(kinds), NAMES[kind])
        (folder / kind).mkdir()
        arguments = [kind, str(folder / kind), str(MANY[kind])]
        answer = await answer_of("benchmarks.stores_use", arguments, folder / f"{kind}.log")
        pages = {what: Pages(**page) for what, page in answer.pop("pages").items()}
        findings += _findings(kind, Use(**answer, pages=pages))
    if reason := azurite.missing():
        findings.append(Table(NAMES["tables"], ("not measured",), [(reason,)]))
    return findings


def _findings(kind: str, use: Use) -> list[Finding]:
    name = NAMES[kind]
    found: list[Finding] = []
    if kind == "sqlite":
        found += [
            Comparison(
                f"page of {PAGE}, {what}",
                [1000 * each for each in page.many],
                [1000 * each for each in page.few],
                f"out of {use.lanes:,} promotions in {name}",
                f"one out of {FEW}",
                "ms",
                TARGET,
            )
            for what, page in use.pages.items()
        ]
    else:
        rows = [
            (
                what,
                *(f"{median(values):.0f}" for values in (page.requests_few, page.requests_many)),
                *(f"{1000 * median(values):.0f}" for values in (page.few, page.many)),
            )
            for what, page in use.pages.items()
        ]
        columns = ("promotions", f"requests, of {FEW}", f"of {use.lanes:,}", f"ms, of {FEW}", f"of {use.lanes:,}")
        found.append(Table(f"A page of {PAGE} in {name}", columns, rows, "Azurite scans every row; Azure does not."))
    figures = [(what, f"{rate:,.0f} /s") for what, rate in use.rates.items()]
    figures += [
        (f"overdue lanes of {use.lanes:,}: {what}", f"{1000 * took:,.0f} ms") for what, took in use.overdue.items()
    ]
    figures.append(("saves of a promotion with two deployments of 20 minutes", str(use.saves)))
    if use.requests:
        figures.append(("requests to the table service for it", str(use.requests)))
    return [*found, Table(f"Throughput of {name}, one process", ("what", "figure"), figures)]
