from __future__ import annotations

from pathlib import Path

from watchbill.runners.findings import FINDINGS, SHADOW, FindingsFile


def test_what_came_after_the_mark_is_cut_off_and_comes_again(tmp_path: Path) -> None:
    file = FindingsFile(tmp_path)
    file.rewind(0)
    assert not (tmp_path / FINDINGS).exists(), "a home without rules has no such file"
    file.write([{"seq": 1, "title": "夜间导出"}])
    marked = file.mark()
    file.write([{"seq": 2}])
    again = FindingsFile(tmp_path)
    again.rewind(marked)
    again.write([{"seq": 2}])
    out = tmp_path / "out"
    out.mkdir()
    again.publish(out)
    assert (out / FINDINGS).read_text(encoding="utf-8").splitlines() == [
        '{"seq": 1, "title": "夜间导出"}',
        '{"seq": 2}',
    ]


def test_without_findings_the_output_is_empty(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    FindingsFile(tmp_path).publish(out)
    assert (out / FINDINGS).read_bytes() == b""


def test_shadow_rows_have_a_file_of_their_own(tmp_path: Path) -> None:
    file, out = FindingsFile(tmp_path, SHADOW), tmp_path / "out"
    file.write([{"seq": 1}])
    out.mkdir()
    file.publish(out)
    assert (out / SHADOW).read_bytes() == b'{"seq": 1}\n'
    assert not (out / FINDINGS).exists()
