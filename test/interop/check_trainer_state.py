"""Checks that transformers reads the log of a run."""

import csv
import json

from transformers import TrainerState

from interop import check, cli, fixture_model, main, pairs, work


@check("transformers reads trainer_state.json, and log.csv has the same figures")
def _():
    out = work / "logged"
    cli("dpo", "--model", fixture_model("tiny-llama"), "--data", pairs(), "--out", out, "--max-steps", 3,
        "--batch-size", 4, "--eval-steps", 2, "--no-report", "--log-csv")
    state = TrainerState.load_from_json(out / "trainer_state.json")
    assert (state.global_step, state.max_steps, state.eval_steps) == (3, 3, 2)
    assert [entry["step"] for entry in state.log_history] == [1, 2, 2, 3, 3]
    again = work / "again.json"
    state.save_to_json(again)
    assert json.loads(again.read_text())["log_history"] == state.log_history
    with open(out / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for entry in state.log_history:
        row = rows[entry["step"] - 1]
        assert all(float(row[name]) == value for name, value in entry.items()), entry
    return f"{len(state.log_history)} entries of {len(rows[0])} columns"


main(__name__)
