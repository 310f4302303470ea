"""Spans are read from a trace's file as they were written."""

from pathlib import Path

from shared.telemetry import trace_files


def test_spans_are_read_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    spans = [{"name": "first", "reason": "two\nlines\u2028and a third — with signs"}, {"name": "second"}]
    for span in spans:
        trace_files.append(tmp_path, "0123", span)
    trace_files.append(tmp_path, "4567", {"name": "of another trace"})
    assert trace_files.read(tmp_path, "0123") == spans


def test_a_span_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    trace_files.append(tmp_path, "0123", {"name": "whole"})
    with (tmp_path / "0123.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"name": "ha')
    assert trace_files.read(tmp_path, "0123") == [{"name": "whole"}]


def test_a_trace_that_does_not_exist_has_no_spans(tmp_path: Path) -> None:
    assert trace_files.read(tmp_path, "0123") == []
