import gc
from types import SimpleNamespace

import pytest
from scalelaws.graph import begin_graph, end_graph
from snakemake.sourcecache import LocalSourceFile, SourceCache


@pytest.fixture
def workflow(tmp_path):
    """As much of Snakemake's workflow as says where scripts are."""
    yield SimpleNamespace(sourcecache=SourceCache(tmp_path / "cache", tmp_path / "now"))
    gc.unfreeze()
    gc.enable()


def test_garbage_is_collected_again_once_the_graph_is_built(workflow):
    begin_graph(workflow)
    assert not gc.isenabled()
    end_graph()
    assert gc.isenabled()
    assert gc.get_freeze_count()


def test_where_a_script_is_is_asked_once(workflow, tmp_path, monkeypatch):
    script, asked = tmp_path / "train.py", []
    script.write_text("whole")
    plain = SourceCache._cache_entry
    monkeypatch.setattr(SourceCache, "_cache_entry", lambda *given: asked.append(given) or plain(*given))
    begin_graph(workflow)
    for _ in range(3):
        with workflow.sourcecache.open(LocalSourceFile(str(script))) as file:
            assert file.read() == "whole"
    assert len(asked) == 1
