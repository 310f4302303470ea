"""Mutants that no test can kill, since they behave as the code does: looked at one by one, each with its reason."""

from collections.abc import Mapping

#: By file and `old → new`; a file may have the same place twice.
EQUIVALENT: Mapping[tuple[str, str], str] = {
    (
        "shared/core/json_text.py",
        "len(_OPENING.findall(text)) > DEEPEST → len(_OPENING.findall(text)) >= DEEPEST",
    ): "a text with that many brackets is checked once more, and cannot be nested too deeply",
    (
        "shared/core/waiting.py",
        "since + step.plan.limit → since - step.plan.limit",
    ): "a step has its deadline before anybody can see it wait; the sum is for the type checker",
    ("shared/core/lane.py", "10 → 11"): "the pause has been cut to the longest one long before",
    (
        "shared/core/settling.py",
        "stage.unanswered_until is not None and (not stage.is_held(turn.now)) → "
        "stage.unanswered_until is not None or not stage.is_held(turn.now)",
    ): "the lane's `closed_until` keeps a stage that queues again shut for as long",
    (
        "shared/core/approving.py",
        "len(given) >= approval.least → len(given) == approval.least",
    ): "approvals come one by one, and the last that is needed ends the step",
    ("shared/worker/smoke_file.py", "return False → return None"): "the only caller asks whether it is true",
    ("shared/worker/steps/approve.py", "0 → 1"): "the environment's own rule, which is at least 1, counts then",
}
