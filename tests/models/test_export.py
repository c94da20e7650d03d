"""An exported run, opened by transformers, gives our logits."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file
from scalelaws.errors import InputError
from scalelaws.models.export import export_run
from scalelaws.models.families import hidden_states, initial_weights, output_weight
from scalelaws.models.shapes import Shape
from scalelaws.tokens.bpe import save_tokenizer, train_bpe

LEARNED = Shape(2, 32, 2, 64, 300)
SHAPES = {
    "learned": LEARNED,
    "rotary": replace(LEARNED, positions="rotary"),
    "rotary, untied, narrow": replace(LEARNED, positions="rotary", tied=False, feed_forward_ratio=1.5),
    "rotary, mup": replace(LEARNED, positions="rotary", parametrization="mup"),
    "universal": replace(LEARNED, positions="rotary", family="universal", n_layer=1, recurrence=3),
    "universal, learned": replace(LEARNED, family="universal", n_layer=1, recurrence=3),
    "lstm": Shape(2, 32, 0, 64, 300, "none", "lstm"),
    "encoder_decoder": replace(LEARNED, family="encoder_decoder", encoder_layers=1),
    "encoder_decoder, rotary": replace(LEARNED, positions="rotary", family="encoder_decoder", encoder_layers=1),
}
TEXTS = [f"the law of {word} number {i} holds in {i * 7} cases" for i in range(60) for word in ("loss", "size", "data")]


def finished(folder, shape):
    """A run as the workflow leaves it, its weights far from the first ones, and those weights."""
    run = folder / "results/small/runs/some-run"
    run.mkdir(parents=True)
    generator = torch.Generator().manual_seed(1)
    weights = {n: w + 0.2 * torch.randn(w.shape, generator=generator) for n, w in initial_weights(shape, 0).items()}
    save_file(weights, run / "model.safetensors")
    (run / "run.json").write_text(json.dumps({"run": {**asdict(shape), "seed": 1}, "provenance": {}}))
    tokenizer = folder / "results/small/tokens/tokenizer"
    tokenizer.mkdir(parents=True)
    save_tokenizer(train_bpe(TEXTS, 300), tokenizer)
    return run, weights


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_ours(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shape = SHAPES[name]
    run, weights = finished(tmp_path, shape)
    export_run(run, tmp_path / "exported")
    own = shape.positions != "rotary" or shape.family == "encoder_decoder"
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "exported", trust_remote_code=own).eval()
    assert not any("from scalelaws" in file.read_text() for file in (tmp_path / "exported").glob("*.py"))
    ids = torch.randint(300, (3, 50), generator=torch.Generator().manual_seed(2))
    ours = hidden_states(weights, shape, ids, torch.float32) @ output_weight(weights, shape).T
    with torch.no_grad():
        theirs = model(ids).logits
    torch.testing.assert_close(theirs.flatten(0, 1), ours, rtol=1e-4, atol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    assert tokenizer.decode(tokenizer.encode(TEXTS[0])) == TEXTS[0]
    prompt = torch.tensor([tokenizer.encode("the law")])
    greedy = model.generate(prompt, max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0)
    expected = prompt
    for _ in range(4):
        logits = hidden_states(weights, shape, expected, torch.float32) @ output_weight(weights, shape).T
        expected = torch.cat([expected, logits[-1:].argmax(1, keepdim=True)], dim=1)
    assert greedy.tolist() == expected.tolist()


def test_a_folder_that_is_no_run_or_exists_already_gets_one_line(tmp_path):
    with pytest.raises(InputError, match=r"run\.json: there is no such file\. Name a folder results/"):
        export_run(tmp_path, tmp_path / "exported")
    run, _ = finished(tmp_path, LEARNED)
    with pytest.raises(InputError, match=r"exists already\. Name a new folder"):
        export_run(run, tmp_path)
