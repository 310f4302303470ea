"""What is shown of a container's log. The log is one that azureml-inference-server-http 1.5.1 wrote, shortened."""

import pytest

from shared.worker import container_log

SERVER = "/env/lib/python3.11/site-packages/azureml_inference_server_http/server"
STARTED = """\
2026-11-21 20:54:08,402 I [2924] azmlinfsrv - Loaded logging config from /env/logging.json

Azure ML Inferencing HTTP server v1.5.1


Server Settings
---------------
Entry Script Name: /var/azureml-app/score.py
Worker Timeout (seconds): None
Inferencing HTTP server version: azmlinfsrv/1.5.1


Server Routes
---------------
Score:          POST  127.0.0.1:31311/score

2026-11-21 20:54:08,458 I [2924] gunicorn.error - Starting gunicorn 27.0.1
Initializing logger
2026-11-21 20:54:09,188 I [2991] azmlinfsrv.user_script - Invoking user's init function
2026-11-21 20:54:09,188 I [2991] azmlinfsrv.print - loading model
2026-11-21 20:54:09,189 I [2991] azmlinfsrv - Worker with pid 2991 ready for serving traffic
"""
FAILED = f"""\
2026-11-21 20:54:14,095 E [2991] azmlinfsrv - Encountered Exception: Traceback (most recent call last):
  File "{SERVER}/user_script.py", line 132, in invoke_run
    run_output = self._wrapped_user_run(**run_parameters)
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/var/azureml-app/score.py", line 8, in run
    return model.predict(json.loads(data)["nmbers"])
                         ~~~~~~~~~~~~~~~~^^^^^^^^^^
  File "/env/lib/python3.11/site-packages/sklearn/base.py", line 100, in predict
    return self._predict(data)
  File "/env/lib/python3.11/site-packages/sklearn/check.py", line 200, in _predict
    raise ValueError("2 features, not 3")
ValueError: 2 features, not 3

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{SERVER}/routes.py", line 222, in handle_score
    timed_result = main_blueprint.user_script.invoke_run(request)
azureml_inference_server_http.server.user_script.UserScriptException: Caught an unhandled exception

2026-11-21 20:54:14,095 I [2991] azmlinfsrv - POST /score 500 2.915ms 92
2026-11-21 20:54:14,098 I [2991] gunicorn.access - 127.0.0.1 - - "POST /score HTTP/1.1" 500 92
"""


def test_the_users_own_code_is_shown_and_what_the_server_writes_is_not() -> None:
    assert container_log.chosen(STARTED + FAILED) == [
        "loading model",
        "Traceback (most recent call last):",
        '  File "/var/azureml-app/score.py", line 8, in run',
        '    return model.predict(json.loads(data)["nmbers"])',
        "                         ~~~~~~~~~~~~~~~~^^^^^^^^^^",
        '  File "/env/lib/python3.11/site-packages/sklearn/check.py", line 200, in _predict',
        '    raise ValueError("2 features, not 3")',
        "ValueError: 2 features, not 3",
    ]


def test_the_cause_names_the_line_of_the_users_code() -> None:
    assert container_log.cause_and_place(STARTED + FAILED) == "ValueError: 2 features, not 3 (score.py, line 8, in run)"


def test_however_often_it_failed_the_last_time_is_shown_whole() -> None:
    shown = container_log.chosen(STARTED + FAILED * 50)
    assert len(shown) == container_log.SHOWN_LINES
    assert shown[-7:] == container_log.chosen(FAILED)


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("", []),
        ("\n \n", []),
        ("my own line\n", ["my own line"]),
        ("x" * 1000, ["x" * container_log.LONGEST_LINE]),
        ("Traceback (most recent call last):\n", ["Traceback (most recent call last):"]),
        ("2026-11-21 20:54:09,188 I [1] my.logger - asked", ["2026-11-21 20:54:09,188 I [1] my.logger - asked"]),
    ],
)
def test_other_logs_are_shown_by_their_end(log: str, shown: list[str]) -> None:
    assert container_log.chosen(log) == shown


def test_where_only_the_server_wrote_its_lines_are_shown() -> None:
    assert container_log.chosen(STARTED.replace("azmlinfsrv.print", "azmlinfsrv"))[-1].endswith(
        "ready for serving traffic"
    )


def test_a_crash_of_the_server_itself_is_shown() -> None:
    _, _, of_the_server = FAILED.partition("following exception:\n")
    assert any("UserScriptException" in line for line in container_log.chosen(of_the_server))
    assert container_log.place(of_the_server) is None


def test_an_exception_that_came_while_another_was_handled_is_shown_with_it() -> None:
    log = (
        'Traceback (most recent call last):\n  File "/a/score.py", line 1, in run\nKeyError: 1\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/a/score.py", line 3, in run\nValueError: 2\n'
    )
    assert "During handling of the above exception, another exception occurred:" in container_log.chosen(log)
    assert container_log.cause_and_place(log) == "ValueError: 2 (score.py, line 3, in run)"


def test_an_exception_whose_name_is_one_letter_is_the_cause() -> None:
    log = 'Traceback (most recent call last):\n  File "/a/score.py", line 1, in run\n    raise E\nE\nended\n'
    assert container_log.cause_and_place(log) == "E (score.py, line 1, in run)"
    assert container_log.chosen(log)[-1] == "ended"
