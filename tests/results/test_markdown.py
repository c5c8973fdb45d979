from __future__ import annotations

from qubopress.results.markdown import markdown_row, markdown_table


def test_a_table_is_a_line_a_row() -> None:
    assert markdown_table([["a", "b"], ["---", "---:"], ["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert markdown_row(["only"]) == "| only |"
