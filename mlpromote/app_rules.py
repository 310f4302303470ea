"""Where the app's rules of a configuration are: `shared.config` and `shared.core`, which `check` applies.

In the repository they are at its top. The wheel has them in `mlpromote/_app`, out of the way of other packages.
"""

import sys
from pathlib import Path

_PACKAGED = Path(__file__).parent / "_app"


def make_importable() -> None:
    """Let `import shared.config` find the app's rules, in the wheel as well. Call it before such an import."""
    if _PACKAGED.is_dir() and str(_PACKAGED) not in sys.path:
        sys.path.insert(0, str(_PACKAGED))
