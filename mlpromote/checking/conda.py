"""The packages in a conda file, by what conda and pip accept. A wrong one shows only when Azure ML builds the image."""

import re
from collections.abc import Iterator

from mlpromote.checking.documents import Document
from mlpromote.checking.findings import Finding, Rule

#: `numpy=2.1` is how conda pins a version. To pip it is no requirement at all.
_PINNED_AS_BY_CONDA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^]]*\])?\s*=\s*([^=\s]\S*)")


def findings(document: Document) -> Iterator[Finding]:
    """Yield what is wrong with the packages of a conda file."""
    listed = document.content.get("dependencies")
    if not isinstance(listed, list):
        yield document.fault(("dependencies",), "has no list of dependencies", Rule.CONDA)
        return
    for number, each in enumerate(listed):
        if isinstance(each, str):
            continue
        pip = each.get("pip") if isinstance(each, dict) and set(each) == {"pip"} else None
        if not isinstance(pip, list) or not all(isinstance(one, str) for one in pip):
            says = "must be a package such as numpy=2.1, or `pip:` with a list of packages"
            yield document.fault(("dependencies", number), says, Rule.CONDA)
            continue
        for place, one in enumerate(pip):
            if found := _PINNED_AS_BY_CONDA.fullmatch(one.partition(" #")[0].strip()):
                says = f"{one}: pip pins a version with two equals signs, =={found[2]}"
                yield document.fault(("dependencies", number, "pip", place), says, Rule.CONDA)
